"""Tiny models of real architectures: the class's own default configuration with its sizes shrunk by rule."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transformers
from transformers import PretrainedConfig, PreTrainedModel

from matrix.model import Architecture

VOCAB = 67
"""Odd, so that embeddings, heads and their biases do not split evenly between two ranks."""

LAYERS = ("num_hidden_layers", "num_layers")
LAYER_KINDS = ("layer_types", "mlp_layer_types", "layers_block_type")
"""Configuration names that say the kind of every layer: one layer of each kind is kept."""

SIZES: Mapping[float, str] = {
    VOCAB: "vocab_size input_vocab_size output_vocab_size decoder_vocab_size text_encoder_vocab_size t2u_vocab_size"
    " unit_hifi_gan_vocab_size vocab_size_per_layer_input",
    64: "ngram_vocab_size_base num_pos_feats position_embedding_size spectrogram_bins",
    32: "hidden_size d_model conv_dim upsample_groups n_embd dim hidden_dim encoder_hidden_dim decoder_hidden_size mask_feature_size feature_size"
    " max_position_embeddings max_source_positions max_target_positions n_positions block_size image_size"
    " max_encoder_position_embeddings max_decoder_position_embeddings max_text_positions max_speech_positions"
    " fpn_feature_size fpn_hidden_size mask_dim output_channels projection_dim codebook_dim"
    " vector_quantization_hidden_dimension text_encoder_width context_length crop_size max_img_size"
    " text_encoder_context_length task_seq_len max_text_len num_mel_bins backbone_hidden_size output_proj_dims"
    " fusion_hidden_size encoder_hidden_size speech_encoder_hidden_size d_text text_hidden_size backbone_channel_list"
    " upsample_initial_channel t2u_max_position_embeddings max_text_seq_len output_hidden_size pooler_output_size"
    " encoder_in_channels decoder_in_channels in_channels out_channels embed_dims hidden_sizes",
    24: "intermediate_size encoder_ffn_dim decoder_ffn_dim ffn_dim ffn_hidden_size moe_intermediate_size mlp_dim"
    " moe_shared_expert_intermediate_size shared_expert_intermediate_size expert_ffn_hidden_size dim_feedforward"
    " encoder_feedforward_dim iou_head_hidden_dim encoder_linear_units decoder_linear_units moe_ffn_hidden_size"
    " speech_encoder_intermediate_size t2u_encoder_ffn_dim t2u_decoder_ffn_dim n_inner ffn_size",
    16: "embed_dim num_conv_pos_embeddings patch_embeds_hidden_size tdnn_dim index_head_dim codebook_size"
    " stage_in_channels stage_mid_channels stage_out_channels auxiliary_channels classifier_proj_size prompt_length prompt_mid_dim subsampling_conv_channels"
    " router_hidden_size codevector_dim proj_codevector_dim speaker_embedding_dim speech_decoder_prenet_units"
    " speech_decoder_postnet_units stem_channels stem_out_channels ple_embed_dim embed_dim_per_stage"
    " unit_embed_dim lang_embed_dim spkr_embed_dim adaptor_kernel_size horizon_length patch_length"
    " duration_predictor_channels energy_predictor_channels pitch_predictor_channels num_centroids"
    " attention_window encoder_max_relative_position ext_pw_out_channel depthwise_separable_out_channel"
    " nemo_conv_channels neck_hidden_sizes feature_projection_input_dim text_encoder_n_ctx lqe_hidden_dim",
    9: "embedding_size n_routed_experts num_experts num_local_experts moe_num_experts num_queries"
    " two_stage_num_proposals head_hidden_size num_codevectors_per_group num_negatives xvector_output_dim"
    " aspp_out_channels num_denoising",
    8: "head_dim kv_lora_rank q_lora_rank qk_nope_head_dim v_head_dim ssm_state_size mamba_head_dim linear_head_dim"
    " linear_key_head_dim linear_value_head_dim o_lora_rank groups_width rotary_dim patch_size hidden_size_per_layer_input"
    " hc_lowrank d_rel rel_extent chunk_size sliding_window global_head_dim swa_head_dim max_window_layers",
    4: "num_filters num_attention_heads n_head encoder_attention_heads decoder_attention_heads mamba_num_heads linear_num_heads"
    " linear_num_value_heads qk_rope_head_dim num_conv_pos_embedding_groups index_n_heads speech_encoder_attention_heads"
    " t2u_encoder_attention_heads t2u_decoder_attention_heads swa_num_attention_heads key_dim centroid_intermediate_top_k"
    " num_quantizers n_codebooks vocoder_num_langs vocoder_num_spkrs split_ngram_parts num_register_tokens"
    " make_ngram_vocab_size_divisible_by",
    3: "n_group conv_depthwise_kernel_size speech_decoder_postnet_kernel encoder_kernel_size decoder_kernel_size"
    " window_size conv_kernel_size kernel_size last_kernel_size",
    2: "stage_numb_of_layers num_kv_shared_layers num_hidden_layers num_layers n_layer encoder_layers decoder_layers num_key_value_heads num_heads"
    " linear_num_key_heads num_experts_per_tok moe_k moe_topk top_k_experts zero_expert_num n_groups o_groups mlp_ratio"
    " text_encoder_num_layers t2u_encoder_layers t2u_decoder_layers speech_encoder_layers num_mel_attn_blocks"
    " swa_num_key_value_heads index_topk text_encoder_num_heads mlp_ratios duration_predictor_num_flows"
    " prior_encoder_num_flows prior_encoder_num_wavenet_layers posterior_encoder_num_wavenet_layers num_blocks"
    " variance_predictor_layers speech_decoder_postnet_layers num_attention_heads_per_stage expand_ratios",
    1: "stage_num_blocks first_k_dense_replace topk_group depths depth blocks_per_stage num_block_repeats num_layers_per_stage",
    0.125: "depth_multiplier width_coefficient depth_coefficient",
}
"""The largest value that a size keeps in a tiny model. Sizes must divide where the names' families say so: 4 heads of
8 in a width of 32, 2 key-value heads, 9 experts in 3 groups."""

LARGEST = {name: size for size, names in SIZES.items() for name in names.split()}


NO_TIMM = {"backbone": None, "use_timm_backbone": False, "use_pretrained_backbone": False}
"""What 4.x must be told too when a model gets a backbone of transformers' own."""


NO_ARGUMENTS = ("self", "args", "kwargs", "_out_features", "_out_indices")
"""Names in constructors that are not told: the private two follow from out_features."""


class Unsupported(Exception):
    """The installed transformers lacks this architecture, or a package that it needs: the message says which."""


def model_class(architecture: Architecture) -> type[PreTrainedModel]:
    """The transformers class of that name. Raises Unsupported where it, or its `model_type`, does not exist."""
    found = getattr(transformers, architecture.class_name, None)
    if not isinstance(found, type):
        raise Unsupported(f"transformers {transformers.__version__} has no {architecture.class_name}")
    if not issubclass(found, PreTrainedModel):
        raise Unsupported(f"{architecture.class_name} needs {', '.join(getattr(found, '_backends', ()))}")
    model_type = found.config_class.model_type
    if model_type != architecture.model_type:
        raise Unsupported(f"the model_type of {architecture.class_name} is {model_type} here")
    return found


def full_config(architecture: Architecture) -> PretrainedConfig:
    """The default configuration of the class with `architecture.config` in it: full-size but for what that shrinks.

    Raises Unsupported as `model_class` does, and whatever the configuration class raises about its values.
    """
    return model_class(architecture).config_class(**overrides(architecture))


def tiny_config(architecture: Architecture) -> PretrainedConfig:
    """The full-size configuration shrunk by the rules, `architecture.config` as it stands. Raises as `full_config`."""
    full = full_config(architecture)
    return type(full)(**merge(shrink(full), overrides(architecture)))


def overrides(architecture: Architecture) -> dict[str, Any]:
    """`architecture.config`, with what must accompany a backbone of transformers' own."""
    return {**architecture.config, **(NO_TIMM if "backbone_config" in architecture.config else {})}


def build(architecture: Architecture) -> PreTrainedModel:
    """The tiny model: on the CPU in float32, in eval mode, its values the same in every call.

    Raises Unsupported also where a package that the model needs is not installed.
    """
    try:
        config = tiny_config(architecture)
        torch.manual_seed(0)
        return model_class(architecture)(config).eval()
    except ImportError as error:
        raise Unsupported(" ".join(str(error).split())) from error


def shrink(config: PretrainedConfig) -> dict[str, Any]:
    """The keyword arguments that turn `config` into a tiny one of its class.

    Only what a rule changes is passed on, so that the constructor derives the rest from it anew.
    """
    values = arguments(config)
    tiny = {name: small(name, value) for name, value in values.items()}
    tiny.update(fewer_layers(values))
    return {name: value for name, value in tiny.items() if value != values[name]}


def shrink_nested(config: PretrainedConfig) -> dict[str, Any]:
    """The same for a sub-configuration, with what its parent makes different from the defaults of its class."""
    values, plain = arguments(config), arguments(type(config)())
    given = {name: value for name, value in values.items() if value != plain[name]}
    return {"model_type": config.model_type, **given, **shrink(config)}


def arguments(config: PretrainedConfig) -> dict[str, Any]:
    """The value that `config` has for each keyword argument of its class and, through `**kwargs`, of its bases."""
    classes = [base for base in type(config).__mro__ if issubclass(base, PretrainedConfig) and base is not PretrainedConfig]
    names = {name for base in classes for name in inspect.signature(base.__init__).parameters}
    return {name: default(config, name) for name in sorted(names | {"out_features"}) if name not in NO_ARGUMENTS}


def default(config: PretrainedConfig, name: str) -> Any:
    """The value of `name`, or None. A per-layer value (5.x) gives the one that the class states."""
    try:
        return getattr(config, name, None)
    except RuntimeError:
        return getattr(type(config), name, None)


def small(name: str, value: Any) -> Any:
    """`value` of the configuration name `name` in a tiny model; sequences and sub-configurations recursively."""
    if isinstance(value, PretrainedConfig):
        return shrink_nested(value)
    if isinstance(value, (list, tuple)):
        return type(value)(small(name, item) for item in value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    largest = VOCAB - 1 if name.endswith(("_token_id", "_token_index")) else LARGEST.get(name, value)
    return type(value)(min(value, largest))


def fewer_layers(values: Mapping[str, Any]) -> dict[str, Any]:
    """One layer of each kind, where the configuration lists the kinds; at least two layers."""
    lists = {name: values[name] for name in LAYER_KINDS if isinstance(values.get(name), Sequence)}
    kinds = list(zip(*lists.values()))
    different = sorted({kinds.index(kind) for kind in kinds})
    kept = different if len(different) > 1 else range(min(2, len(kinds)))
    counts = {name: len(kept) for name in LAYERS if name in values and kinds}
    return {**counts, **{name: [kind[i] for i in kept] for name, kind in lists.items()}}


def merge(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid over `values`, tables into tables."""
    merged = dict(values)
    for name, value in over.items():
        merged[name] = merge(merged.get(name, {}), value) if isinstance(value, Mapping) else value
    return merged

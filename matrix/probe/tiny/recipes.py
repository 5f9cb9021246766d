"""Tiny models of real architectures: the class's own default configuration with its sizes shrunk by rule."""

import copy
import functools
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
import transformers
from transformers import PretrainedConfig, PreTrainedModel

from matrix.model import Architecture, Source
from matrix.probe.tiny import classes, user_model

VOCAB = 67
"""Odd, so that embeddings, heads and their biases do not split evenly between two ranks."""

LAYERS = ("num_hidden_layers", "num_layers")
LAYER_KINDS = ("layer_types", "mlp_layer_types", "layers_block_type")
"""Configuration names that say the kind of every layer: one layer of each kind is kept."""

SIZES: Mapping[float, str] = {
    VOCAB: "decoder_vocab_size input_vocab_size output_vocab_size t2u_vocab_size text_encoder_vocab_size"
    " unit_hifi_gan_vocab_size vocab_size vocab_size_per_layer_input",
    64: "ngram_vocab_size_base num_pos_feats position_embedding_size",
    32: "backbone_channel_list block_size codebook_dim context_length conv_dim crop_size d_model"
    " decoder_hidden_size decoder_in_channels embed_dims encoder_hidden_dim encoder_in_channels feature_size"
    " fpn_feature_size fpn_hidden_size fusion_hidden_size hidden_dim hidden_size hidden_sizes image_size"
    " in_channels mask_dim mask_feature_size max_decoder_position_embeddings max_encoder_position_embeddings"
    " max_img_size max_position_embeddings max_source_positions max_speech_positions max_text_positions n_embd"
    " n_positions num_mel_bins out_channels output_channels output_hidden_size output_proj_dims"
    " pooler_output_size projection_dim t2u_max_position_embeddings task_seq_len text_encoder_context_length"
    " text_encoder_width text_hidden_size upsample_groups upsample_initial_channel"
    " vector_quantization_hidden_dimension",
    24: "decoder_ffn_dim decoder_linear_units dim_feedforward encoder_feedforward_dim encoder_ffn_dim"
    " encoder_linear_units expert_ffn_hidden_size ffn_dim ffn_hidden_size intermediate_size iou_head_hidden_dim"
    " mlp_dim moe_intermediate_size moe_shared_expert_intermediate_size shared_expert_intermediate_size"
    " speech_encoder_intermediate_size t2u_decoder_ffn_dim t2u_encoder_ffn_dim",
    16: "attention_window auxiliary_channels classifier_proj_size codebook_size codevector_dim"
    " depthwise_separable_out_channel duration_predictor_channels embed_dim embed_dim_per_stage"
    " encoder_max_relative_position energy_predictor_channels ext_pw_out_channel feature_projection_input_dim"
    " horizon_length index_head_dim lang_embed_dim lqe_hidden_dim mel_vocab_size n_mel_bins neck_hidden_sizes"
    " nemo_conv_channels num_block_records num_conv_pos_embeddings patch_embeds_hidden_size patch_length pitch_predictor_channels"
    " ple_embed_dim proj_codevector_dim prompt_length prompt_mid_dim router_hidden_size speaker_embedding_dim"
    " speech_decoder_postnet_units speech_decoder_prenet_units spkr_embed_dim stage_in_channels"
    " stage_mid_channels stage_out_channels stem_channels subsampling_conv_channels tdnn_dim unit_embed_dim",
    9: "aspp_out_channels embedding_size moe_num_experts n_routed_experts num_codevectors_per_group num_denoising"
    " num_experts num_local_experts num_negatives num_queries two_stage_num_proposals xvector_output_dim",
    8: "chunk_size d_rel encoder_hidden_size global_head_dim groups_width hc_lowrank head_dim"
    " hidden_size_per_layer_input kv_lora_rank linear_head_dim linear_key_head_dim linear_value_head_dim"
    " mamba_head_dim max_window_layers o_lora_rank patch_size prediction_length q_lora_rank qk_nope_head_dim rel_extent rotary_dim"
    " sliding_window ssm_state_size swa_head_dim v_head_dim",
    4: "decoder_attention_heads encoder_attention_heads index_n_heads key_dim linear_num_heads"
    " linear_num_value_heads make_ngram_vocab_size_divisible_by mamba_num_heads n_codebooks n_head"
    " num_attention_heads num_conv_pos_embedding_groups num_filters num_quantizers qk_rope_head_dim"
    " speech_encoder_attention_heads split_ngram_parts swa_num_attention_heads t2u_decoder_attention_heads"
    " t2u_encoder_attention_heads vocoder_num_langs vocoder_num_spkrs",
    3: "conv_depthwise_kernel_size conv_kernel_size decoder_kernel_size encoder_kernel_size kernel_size"
    " last_kernel_size n_group speech_decoder_postnet_kernel window_size",
    2: "decoder_layers encoder_layers expand_ratios index_topk linear_num_key_heads mlp_ratio mlp_ratios moe_k"
    " moe_topk n_groups n_layer num_attention_heads_per_stage num_blocks num_experts_per_tok num_heads"
    " num_hidden_layers num_key_value_heads num_layers num_mel_attn_blocks o_groups"
    " speech_decoder_postnet_layers speech_encoder_layers stage_numb_of_layers swa_num_key_value_heads"
    " t2u_decoder_layers t2u_encoder_layers text_encoder_num_layers zero_expert_num",
    1: "blocks_per_stage depth depths first_k_dense_replace num_block_repeats stage_num_blocks topk_group",
    0.125: "depth_coefficient depth_multiplier width_coefficient",
}
"""The largest value that a size keeps in a tiny model. Sizes must divide where the names' families say so: 4 heads of
8 in a width of 32, 2 key-value heads, 9 experts in 3 groups."""

LARGEST = {name: size for size, names in SIZES.items() for name in names.split()}

NO_TIMM = {"backbone": None, "use_timm_backbone": False, "use_pretrained_backbone": False}
"""Must be set too in 4.x when a model gets a backbone of transformers' own."""

NO_ARGUMENTS = ("args", "kwargs", "_out_features", "_out_indices")
"""Names in constructors that are never set: the private two follow from out_features."""


_BOOL_FOR_INT = re.compile(r"Field '(\w+)' expected int, got bool \(value: (True|False)\)")


class UnsupportedError(Exception):
    """The installed transformers does not have this architecture, or a package is missing. The message says which."""


class NoSuchClassError(UnsupportedError):
    """The installed transformers does not have this architecture."""


def find_class(architecture: Architecture) -> type[PreTrainedModel]:
    """Finds the transformers class of that name. Raises UnsupportedError where it, or its `model_type`, does not exist.

    A user's own class comes from its source; raises TargetError.
    """
    if architecture.source:
        return user_model.find_class(architecture.source)
    try:
        found = classes.find(architecture.class_name)
    except ImportError as error:
        raise UnsupportedError(" ".join(str(error).split())) from error
    if found is None:
        raise NoSuchClassError(f"transformers {transformers.__version__} has no {architecture.class_name}")
    if lacking := getattr(found, "_backends", ()):  # a placeholder for the class
        raise UnsupportedError(f"{architecture.class_name} needs {' and '.join(lacking)}")
    if (model_type := classes.model_type(found)) != architecture.model_type:
        raise NoSuchClassError(f"{architecture.class_name} has the model_type {model_type} in this version")
    return found


def import_classes(architectures: Iterable[Architecture]) -> None:
    """Imports the modules of the architectures, so that no forked process has to. Errors show when one is built."""
    for architecture in architectures:
        with suppress(Exception):
            find_class(architecture)


def make_full_config(cls: type[PreTrainedModel], given: Mapping[str, Any]) -> PretrainedConfig:
    """Returns the default configuration of `cls` with `given` in it: full-size but for what that shrinks.

    Raises whatever the configuration class raises about its values.
    """
    return make_default_config(cls.config_class, given)


def make_default_config(kind: type[PretrainedConfig], given: Mapping[str, Any]) -> PretrainedConfig:
    """Returns the default configuration of that class with `given` in it. Raises as `make_full_config`."""
    nested = {name: value for name, value in given.items() if isinstance(value, Mapping)}
    if not nested:
        return make_config(kind, given)
    try:
        values = read_arguments(make_config(kind, {}))
    except Exception:  # it has required arguments
        values = {}
    inside = {name: _over(values.get(name), value) for name, value in nested.items()}
    return make_config(kind, add_backbone_arguments({**given, **inside}))


def make_config(kind: type[PretrainedConfig], values: Mapping[str, Any]) -> PretrainedConfig:
    """Returns the configuration of that class with `values`. Raises whatever the class raises about them.

    5.4.0 refuses some of its own defaults, a bool where it declares an int: it gets the int of the same value.
    """
    try:
        return kind(**copy.deepcopy(dict(values)))  # some classes up to 5.0 take apart what they are given, in place
    except Exception as error:
        found = _BOOL_FOR_INT.search(str(error))
        if not found or (found[1] in values and not isinstance(values[found[1]], bool)):
            raise
        return make_config(kind, {**values, found[1]: int(values.get(found[1], found[2] == "True"))})


def _over(config: Any, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns `given` laid over what the parent makes of a configuration of the same type."""
    if not isinstance(config, PretrainedConfig) or given.get("model_type", config.model_type) != config.model_type:
        return given
    inner = read_arguments(config)
    deeper = {
        name: _over(inner.get(name), value) if isinstance(value, Mapping) else value for name, value in given.items()
    }
    return merge(diff_from_defaults(config), deeper)


def make_tiny_config(cls: type[PreTrainedModel], given: Mapping[str, Any]) -> PretrainedConfig:
    """Returns the full-size configuration shrunk by the rules, `given` unchanged. Raises as `make_full_config`."""
    try:
        full = make_full_config(cls, given)
    except Exception:  # what fits a tiny model need not fit a full-size one
        full = make_full_config(cls, {})
    return make_config(type(full), merge(shrink(full), add_backbone_arguments(given)))


def add_backbone_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `given` with the arguments that a backbone of transformers' own needs."""
    return {**given, **(NO_TIMM if "backbone_config" in given else {})}


def make_user_config(source: Source) -> PretrainedConfig:
    """Returns a user's configuration, shrunk by the rules unless its full size is asked for. Raises TargetError."""
    full = user_model.make_full_config(source)
    return (
        full if source.full else type(full).from_dict(replace_sizes(full, user_model.read_values(source), shrink(full)))
    )


def replace_sizes(config: PretrainedConfig, values: Mapping[str, Any], sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `values` of `config` with `sizes` in place of those of the same or an equivalent name."""
    same = read_other_names(config)
    replaced = {same.get(name, name) for name in sizes}
    merged = {name: value for name, value in values.items() if same.get(name, name) not in replaced}
    for name, size in sizes.items():
        inner, before = read_value(config, name, None), values.get(name, {})
        nested = isinstance(inner, PretrainedConfig) and isinstance(before, Mapping) and isinstance(size, Mapping)
        merged[name] = replace_sizes(inner, before, size) if nested else size
    return merged


def select_arguments(config: PretrainedConfig, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those of `values` that the class of `config` takes as arguments, in nested configurations too."""
    same = read_other_names(config)
    names = {"model_type", *(same.get(name, name) for name in read_arguments(config))}
    found = {}
    for name, value in values.items():
        if same.get(name, name) in names:
            inner = read_value(config, name, None)
            nested = isinstance(inner, PretrainedConfig) and isinstance(value, Mapping)
            found[name] = select_arguments(inner, value) if nested else value
    return found


def read_other_names(config: PretrainedConfig) -> Mapping[str, str]:
    """Returns the attribute for each of its other names."""
    return getattr(config, "attribute_map", {})


def build(architecture: Architecture) -> PreTrainedModel:
    """Builds the tiny model: on the CPU, in float32 where its constructor allows, in eval mode, the same in every call.

    Raises UnsupportedError also where a package that the model needs is not installed.
    """
    try:
        cls = find_class(architecture)
        config = (
            make_user_config(architecture.source) if architecture.source else make_tiny_config(cls, architecture.config)
        )
        # Constructors draw at random, and the records must be the same in every run.
        torch.manual_seed(0)
        return cls(config).eval()
    except ImportError as error:
        raise UnsupportedError(" ".join(str(error).split())) from error


def shrink(config: PretrainedConfig) -> dict[str, Any]:
    """Returns the keyword arguments that turn `config` into a tiny one of its class.

    Only what a rule changes is passed on, so that the constructor derives the rest from it again.
    """
    values = read_arguments(config)
    tiny = {name: shrink_value(name, value) for name, value in values.items()}
    tiny.update(keep_layer_kinds(values))
    tiny.update(keep_heads_equal(values))
    return {name: value for name, value in tiny.items() if value != values[name]}


def shrink_inner_config(config: PretrainedConfig) -> dict[str, Any]:
    """Returns the same for a sub-configuration, with what its parent makes different from the defaults of its class."""
    return {**diff_from_defaults(config), **shrink(config)}


def diff_from_defaults(config: PretrainedConfig) -> dict[str, Any]:
    """Returns what makes a sub-configuration different from the defaults of its class, as a table."""
    values, plain = read_arguments(config), _defaults(type(config))
    given = {name: value for name, value in values.items() if _differ(value, plain[name])}
    tables = {
        name: diff_from_defaults(value) if isinstance(value, PretrainedConfig) else value
        for name, value in given.items()
    }
    return {"model_type": config.model_type, **tables}


def _defaults(kind: Any) -> dict[str, Any]:
    """Returns the arguments of a default configuration, or what its constructor states if it has required ones."""
    try:
        return read_arguments(make_config(kind, {}))
    except Exception:
        return _stated_arguments(kind)


def _differ(value: Any, default: Any) -> bool:
    """Returns whether two values differ. 5.x refuses to compare configurations whose values differ by layer."""
    try:
        return bool(value != default)
    except RuntimeError:
        return True


def read_arguments(config: PretrainedConfig) -> dict[str, Any]:
    """Returns the value that `config` has for each keyword argument of its class and, through `**kwargs`, of its bases.

    Some classes take the configurations inside them without stating so.
    """
    kind: Any = type(config)
    values = {name: read_value(config, name, default) for name, default in _stated_arguments(kind).items()}
    inside = {name: value for name, value in vars(config).items() if isinstance(value, PretrainedConfig)}
    return dict(sorted({**values, **inside}.items()))


@functools.cache
def _stated_arguments(kind: Any) -> dict[str, Any]:
    """Returns the keyword arguments of a configuration class and the defaults that its constructors state, sorted."""
    bases = [base for base in kind.__mro__ if issubclass(base, PretrainedConfig)]
    stated = {name: p.default for base in bases[-2::-1] for name, p in inspect.signature(base).parameters.items()}
    names = {**stated, "out_features": None}
    return {name: names[name] for name in sorted(names) if name not in NO_ARGUMENTS}


def read_value(config: PretrainedConfig, name: str, stated: Any) -> Any:
    """Returns `config`'s value of `name`, otherwise the default. 5.x refuses values that differ by layer."""
    try:
        return getattr(config, name, stated)
    except RuntimeError:
        return stated


def shrink_value(name: str, value: Any) -> Any:
    """Returns the `value` that `name` gets in a tiny model; sequences and sub-configurations recursively."""
    if isinstance(value, PretrainedConfig):
        return shrink_inner_config(value)
    if isinstance(value, (list, tuple)):
        return type(value)(shrink_value(name, item) for item in value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    largest = VOCAB - 1 if name.endswith(("_token_id", "_token_index")) else LARGEST.get(name, value)
    return type(value)(min(value, largest))


def shrink_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a table of tables, each as small as its name says."""
    return {
        name: shrink_values(value) if isinstance(value, Mapping) else shrink_value(name, value)
        for name, value in values.items()
    }


def keep_layer_kinds(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns one layer of each kind, where the configuration lists the kinds; at least two layers."""
    lists = {name: values[name] for name in LAYER_KINDS if isinstance(values.get(name), Sequence)}
    kinds = list(zip(*lists.values(), strict=False))
    different = sorted({kinds.index(kind) for kind in kinds})
    kept = different if len(different) > 1 else range(min(2, len(kinds)))
    counts = {name: len(kept) for name in LAYERS if name in values and kinds}
    return {**counts, **{name: [kind[i] for i in kept] for name, kind in lists.items()}}


def keep_heads_equal(values: Mapping[str, Any]) -> dict[str, int]:
    """Returns as many key-value heads as heads, if the full-size model has: validators and conversions count on it."""
    heads = values.get("num_attention_heads")
    alike = isinstance(heads, int) and heads == values.get("num_key_value_heads")
    return {"num_key_value_heads": shrink_value("num_attention_heads", heads)} if alike else {}


def merge(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `over` laid over `values`, tables into tables."""
    merged = dict(values)
    for name, value in over.items():
        merged[name] = merge(merged.get(name, {}), value) if isinstance(value, Mapping) else value
    return merged


def merge_all(tables: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns all `tables` laid over each other, the last on top."""
    result: dict[str, Any] = {}
    for table in tables:
        result = merge(result, table)
    return result

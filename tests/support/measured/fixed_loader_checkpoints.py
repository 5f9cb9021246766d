"""The tiny checkpoints that `fixed_loader_ranks.py` loads. Runs in the measured interpreter."""

from pathlib import Path
from typing import Any, ClassVar

import torch
import transformers
import zero3_buffers  # type: ignore[import-not-found]
from safetensors.torch import load_file

TOWER = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, use_clipped_linears=True)
TEXT = dict(TOWER, num_key_value_heads=1, head_dim=8, global_head_dim=8, vocab_size=64, vocab_size_per_layer_input=64)
LAYERS = dict(hidden_size=32, intermediate_size=16, vocab_size=64, num_hidden_layers=2, num_attention_heads=4)
EXPERTS = dict(LAYERS, moe_intermediate_size=8, num_key_value_heads=4, num_experts_per_tok=2)


class Named(transformers.PreTrainedModel):  # type: ignore[misc]
    """A model whose lists name a buffer that its constructor makes in no explicit dtype."""

    config_class = transformers.LlamaConfig
    _keep_in_fp32_modules: ClassVar = ["router"]
    _keep_in_fp32_modules_strict: ClassVar = ["router"]

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.router = torch.nn.Linear(8, 8)
        self.router.register_buffer("correction", torch.zeros(8))
        self.register_buffer("scale", torch.ones(8))
        self.post_init()

    def _init_weights(self, module: Any) -> None:
        pass


def find_class(name: str) -> Any:
    """The class of a model, None where this transformers lacks it."""
    return Named if name == Named.__name__ else getattr(transformers, name, None)


MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "bart": (
        "BartForConditionalGeneration",
        dict(d_model=16, vocab_size=64, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=16, decoder_ffn_dim=16)
        | dict(encoder_attention_heads=2, decoder_attention_heads=2, max_position_embeddings=32),
    ),
    "batchnorm": (
        "PatchTSTForPrediction",
        dict(num_input_channels=2, context_length=16, patch_length=4, patch_stride=4, norm_type="batchnorm")
        | dict(d_model=16, ffn_dim=16, num_hidden_layers=1, num_attention_heads=2),
    ),
    "router": (
        "DeepseekV3ForCausalLM",
        dict(hidden_size=32, intermediate_size=16, moe_intermediate_size=8, vocab_size=64, num_hidden_layers=2)
        | dict(num_attention_heads=4, num_key_value_heads=4, q_lora_rank=8, kv_lora_rank=8)
        | dict(n_routed_experts=8, n_group=2, topk_group=1, num_experts_per_tok=2, first_k_dense_replace=1),
    ),
    "codebook": (
        "MimiModel",
        dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2)
        | dict(head_dim=8, num_filters=4, upsampling_ratios=[2, 2], upsample_groups=16, num_quantizers=3)
        | dict(codebook_size=16, codebook_dim=8, vector_quantization_hidden_dimension=8),
    ),
    "named": ("Named", {}),
    "llama": ("LlamaForCausalLM", LAYERS),
    "esm": ("EsmForMaskedLM", dict(LAYERS, position_embedding_type="rotary", pad_token_id=1)),
    "frozen": ("Ernie4_5_MoeForCausalLM", dict(EXPERTS, moe_num_experts=8, moe_k=2, moe_layer_start_index=0)),
    "expert bias": (
        "Lfm2MoeForCausalLM",
        dict(EXPERTS, num_experts=8, num_dense_layers=1, layer_types=["conv", "full_attention"]),
    ),
    "gemma4": (
        "Gemma4ForConditionalGeneration",
        dict(text_config=dict(TEXT, hidden_size_per_layer_input=4))
        | dict(vision_config=dict(TOWER, num_key_value_heads=2, head_dim=8))
        | dict(audio_config=dict(TOWER, subsampling_conv_channels=[4, 4], output_proj_dims=16)),
    ),
}
"""Checkpoint -> its class and what differs from its default configuration. What a version lacks is left out."""

LOADS = {
    **{name: (name, class_name) for name, (class_name, _) in MODELS.items()},
    "sharded": ("batchnorm-sharded", "PatchTSTForPrediction"),
    "bin": ("batchnorm-bin", "PatchTSTForPrediction"),
    "head to base": ("batchnorm", "PatchTSTModel"),
    "base to head": ("batchnorm-base", "PatchTSTForPrediction"),
    "incomplete": ("batchnorm-incomplete", "PatchTSTForPrediction"),
}
"""Scenario -> the checkpoint and the class that reads it."""

ABSENT = ("norm_sublayer1.batchnorm.weight", "norm_sublayer3.batchnorm.running_mean")
"""What the incomplete checkpoint lacks: a parameter of one module, a buffer of another."""


def sentinel(index: int, tensor: torch.Tensor) -> torch.Tensor:
    """Values that no constructor gives and that bf16 and fp16 round, different for neighbours, in `tensor`'s dtype."""
    values = torch.arange(tensor.numel()).reshape(tensor.shape) + 2 + index % 7
    return (values / 8 + 1 / 81 if tensor.is_floating_point() else values).to(tensor.dtype)


def write_checkpoints(folder: Path) -> None:
    """Saves every model that this transformers has, and the batchnorm one in all the forms that `LOADS` reads."""
    for name, (class_name, changes) in MODELS.items():
        model_class = find_class(class_name)
        if model_class is None:
            continue
        model = model_class(model_class.config_class(**changes))
        frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
        for index, tensor in enumerate([*zero3_buffers.persistent_buffers(model).values(), *frozen]):
            tensor.copy_(sentinel(index, tensor))
        model.save_pretrained(folder / name)
        if name == "batchnorm":
            write_variants(model, folder)


def write_variants(model: Any, folder: Path) -> None:
    """The same model sharded, pickled, without its head, and without two of its tensors."""
    model.save_pretrained(folder / "batchnorm-sharded", max_shard_size="1KB")
    model.base_model.save_pretrained(folder / "batchnorm-base")
    state_dict = model.state_dict()
    rest = {name: tensor for name, tensor in state_dict.items() if not name.endswith(ABSENT)}
    for variant, tensors in {"bin": state_dict, "incomplete": rest}.items():
        model.config.save_pretrained(folder / f"batchnorm-{variant}")
        torch.save(tensors, folder / f"batchnorm-{variant}" / "pytorch_model.bin")


def read_checkpoint(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint as its files hold them."""
    tensors: dict[str, torch.Tensor] = {}
    for path in folder.glob("*.safetensors"):
        tensors |= load_file(path)
    for path in folder.glob("*.bin"):
        tensors |= torch.load(path)
    return tensors

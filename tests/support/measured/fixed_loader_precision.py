"""Loads in bf16 and fp16 under ZeRO-3, compared with plain ones. Runs in the measured interpreter.

`fixed_loader_ranks.py` calls it; fixed_loader_checkpoints.py and zero3_buffers.py lie next to it.
"""

import gc
from pathlib import Path
from typing import Any

import deepspeed
import torch
from fixed_loader_checkpoints import MODELS, find_class
from transformers.integrations import HfDeepSpeedConfig
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "float32": torch.float32}
ROUNDED = ("named", "llama", "esm", "router", "frozen", "expert bias", "codebook", "batchnorm")
SCENARIOS = {
    **{f"bf16 {name}": (name, "bf16", "bf16") for name in ROUNDED},
    **{f"fp16 {name}": (name, "fp16", "fp16") for name in ("named", "codebook")},
    **{f"mixed {name}": (name, "bf16", "float32") for name in ("router", "batchnorm")},
}
"""Scenario -> a checkpoint, what DeepSpeed trains in, and what `from_pretrained` is asked for."""


def from_pretrained(folder: Path, name: str, asked: str) -> Any:
    """The model of a checkpoint, in the dtype asked for; the argument's name is the one that all releases take."""
    return find_class(MODELS[name][0]).from_pretrained(folder / name, torch_dtype=DTYPES[asked])


def observe(model: Any) -> dict[str, torch.Tensor]:
    """Every buffer and every frozen parameter, in full.

    All parameters are gathered at once first, which has to work whatever their dtypes. They are read one by one: up to
    0.19.7, deepspeed waits for the last of a list only (https://github.com/deepspeedai/DeepSpeed/pull/8539).
    """
    with deepspeed.zero.GatheredParameters(list(model.parameters())):
        seen = {name: buffer.clone() for name, buffer in model.named_buffers()}
    for name, value in model.named_parameters():
        if not value.requires_grad:
            with deepspeed.zero.GatheredParameters([value]):
                seen[name] = value.detach().clone()
    return seen


def differ(model: Any, plain: Any) -> dict[str, str]:
    """What has another dtype or value than in the `plain` model: the dtype that it has, and the one that it should."""
    want = {**dict(plain.named_parameters()), **dict(plain.named_buffers())}
    return {
        name: f"{str(tensor.dtype)[6:]}, not {str(want[name].dtype)[6:]}"
        for name, tensor in observe(model).items()
        if tensor.dtype != want[name].dtype or not torch.equal(tensor, want[name])
    }


def initialize(model: Any, config: dict[str, Any]) -> None:
    """The step between loading and training; with the least of optimizers, and nothing of it left."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    engine, *_ = deepspeed.initialize(model=model, optimizer=torch.optim.SGD(trainable, lr=0.1), config=config)
    engine.destroy()


def compare(folder: Path, scenario: str, zero3: dict[str, Any]) -> dict[str, Any]:
    """What differs from a plain load in the training dtype, after `from_pretrained` and after `initialize`."""
    name, precision, asked = SCENARIOS[scenario]
    plain = from_pretrained(folder, name, precision)
    config = {**zero3, precision: {"enabled": True}, "zero_allow_untested_optimizer": True}
    active = HfDeepSpeedConfig(config)
    try:
        model = from_pretrained(folder, name, asked)
        found = {"tensors": len(observe(model)), "loaded": differ(model, plain)}
        if precision != "fp16":  # `initialize` refuses it on a CPU
            initialize(model, config)
            found["initialized"] = differ(model, plain)
        trained = {str(parameter.dtype) for parameter in model.parameters() if parameter.requires_grad}
        return {**found, "trained": sorted(trained)}
    finally:
        unset_hf_deepspeed_config()
        del active
        gc.collect()

"""One forward of a model: how it runs with any sizes, what it puts out, and a loss made from its outputs."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor

from matrix.probe.checkpoint.fixture import Model

OUTPUT: Final = "output"
"""What the names of outputs begin with."""

Outputs = Mapping[str, Tensor]


def _ready(model: Model) -> None:
    """Lets a model run with any sizes: without dropout, experts one by one, and nothing kept for a next token."""
    model.eval()
    for config in filter(None, (getattr(module, "config", None) for module in model.modules())):
        if getattr(config, "use_cache", False):
            config.use_cache = False
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")  # grouped kernels take widths of 16 bytes only


def _list_outputs(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """Yields the floating tensors in what a forward returns, by where they are in it."""
    if isinstance(value, Tensor) and value.is_floating_point():
        yield name, value
    is_list = isinstance(value, list | tuple)
    for key, one in value.items() if isinstance(value, Mapping) else enumerate(value) if is_list else ():
        yield from _list_outputs(f"{name}.{key}", one)


def run_forward(call: Any, model: Model, inputs: Mapping[str, Tensor]) -> tuple[Outputs, Outputs]:
    """Returns the outputs of a forward with the statistics of the checkpoint, and those of one that moves them.

    `call` is the model, or its engine. Raises what upstream raises.
    """
    _ready(model)
    device = next(model.parameters()).device
    given = {name: value.to(device) for name, value in inputs.items()}
    with torch.no_grad():
        first = dict(_list_outputs(OUTPUT, call(**given)))
    for norm in model.modules():
        if isinstance(norm, torch.nn.modules.batchnorm._BatchNorm):
            norm.train()
    return first, dict(_list_outputs(OUTPUT, call(**given)))


def find_loss(outputs: Outputs, names: Iterable[str]) -> Tensor:
    """Returns the sum of the mean squares of the outputs with these names."""
    return torch.stack([outputs[name].float().square().mean() for name in names]).sum()

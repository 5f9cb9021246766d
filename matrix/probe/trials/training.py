"""One forward and one step of plain gradient descent, in one process or on a rank of ZeRO-3, with the same batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor

from matrix.check_protocol import NotApplicableError
from matrix.model import Precision
from matrix.probe import compat
from matrix.probe.checkpoint.fixture import Model, named_tensors
from matrix.probe.trials.batches import Batch
from matrix.probe.trials.forwards import find_loss, run_forward

NEAR: Final = 1e-3
"""How far a value may be from one process's, as a part of the largest output, or of the largest step of its tensor."""
_ULPS, _NOISE = 2**-20, 1e-6
"""What float32 may lose besides: of the value itself, and of the largest step of any tensor."""
_SHAKE, _TIMES = 1e-6, 10.0
"""By how much parameters are shaken, as a part of each; and how many times what that changes may be the difference."""


@dataclass(frozen=True)
class Trained:
    """What a step gave: floating outputs by name, and, in one process, how far each tensor moved at most."""

    outputs: Mapping[str, Tensor] = field(default_factory=dict)
    moved: Mapping[str, float] = field(default_factory=dict)


def train(model: Model, batch: Batch, *, shaken: bool = False) -> Trained:
    """Does one forward and one step: under ZeRO-3 with an engine, where that is on. Raises what upstream raises.

    Raises NotApplicableError where DeepSpeed cannot do it reliably here. In one process the parameters can be `shaken`
    by as little as rounding does: what that changes depends on the order of sums.
    """
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and name not in batch.frozen)
    descend = partial(torch.optim.SGD, lr=batch.rate)
    if compat.import_integration().is_deepspeed_zero3_enabled():
        if compat.gathers_by_chance():
            raise NotApplicableError("this deepspeed uses parameters on a CPU before all of them are gathered")
        engine = compat.initialize(model, Precision.FLOAT32, optimizer=descend)
        try:
            return Trained(_step(engine, model, batch, engine.backward, engine.step))
        finally:
            compat.destroy(engine)
    before = {name: value.detach().clone() for name, value in named_tensors(model).items()}
    optimizer = descend([one for one in model.parameters() if one.requires_grad])
    shifts = [_SHAKE * torch.randn_like(one) * one.detach() * shaken for one in optimizer.param_groups[0]["params"]]
    _move(optimizer, shifts, 1)
    outputs = _step(model, model, batch, torch.Tensor.backward, optimizer.step)
    _move(optimizer, shifts, -1)
    return Trained(outputs, {name: _distance(value, before[name]) for name, value in named_tensors(model).items()})


@torch.no_grad()
def _move(optimizer: Any, shifts: Sequence[Tensor], sign: int) -> None:
    for parameter, shift in zip(optimizer.param_groups[0]["params"], shifts, strict=True):
        parameter.add_(shift, alpha=sign)


def _distance(one: Tensor, other: Tensor) -> float:
    return float((one.detach().double() - other.double()).abs().max()) if one.numel() and not one.is_complex() else 0.0


def _step(
    call: Any, model: Model, batch: Batch, backward: Callable[[Tensor], Any], step: Callable[[], Any]
) -> dict[str, Tensor]:
    first, second = run_forward(call, model, batch.inputs)
    backward(find_loss(second, batch.learning))
    step()
    return {name: first[name].detach().cpu() for name in batch.outputs}


def find_tolerances(
    one: Mapping[str, Tensor], other: Mapping[str, Tensor], trained: Trained
) -> tuple[dict[str, float], int]:
    """Returns by how much each value may differ under ZeRO-3, and of how many tensors that leaves nothing to compare.

    `one` and `other` are the values of one process, and of one with shaken parameters.
    """
    noise = _NOISE * max(trained.moved.values(), default=0.0)
    allowed, lost = {}, 0
    for name, far in {**trained.moved, **dict.fromkeys(trained.outputs, 0.0)}.items():
        if name in one and name in other and one[name].is_floating_point() and one[name].numel():
            largest = float(one[name].abs().max())
            shaken = _TIMES * _distance(one[name], other[name])
            scale = largest if name in trained.outputs else far
            allowed[name] = NEAR * scale + (0 if name in trained.outputs else _ULPS * largest + noise) + shaken
            lost += shaken > scale > noise
    return allowed, lost

"""One forward and one step of plain gradient descent, in one process or on a rank of ZeRO-3, with the same batch."""

from collections.abc import Callable, Mapping
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


@dataclass(frozen=True)
class Trained:
    """What a step gave: floating outputs by name, and, in one process, how far each tensor moved at most."""

    outputs: Mapping[str, Tensor] = field(default_factory=dict)
    moved: Mapping[str, float] = field(default_factory=dict)


def train(model: Model, batch: Batch) -> Trained:
    """Does one forward and one step: under ZeRO-3 with an engine, where that is on. Raises what upstream raises.

    Raises NotApplicableError where DeepSpeed cannot do it reliably here.
    """
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
    outputs = _step(model, model, batch, torch.Tensor.backward, optimizer.step)
    return Trained(outputs, {name: _distance(value, before[name]) for name, value in named_tensors(model).items()})


def _distance(one: Tensor, other: Tensor) -> float:
    return float((one.detach().double() - other.double()).abs().max()) if one.numel() and not one.is_complex() else 0.0


def _step(
    call: Any, model: Model, batch: Batch, backward: Callable[[Tensor], Any], step: Callable[[], Any]
) -> dict[str, Tensor]:
    first, second = run_forward(call, model, batch.inputs)
    backward(find_loss(second, batch.learning))
    step()
    return {name: first[name].detach().cpu() for name in batch.outputs}


def find_tolerances(values: Mapping[str, Tensor], trained: Trained) -> dict[str, float]:
    """Returns by how much each value may differ under ZeRO-3."""
    noise = _NOISE * max(trained.moved.values(), default=0.0)
    largest = {
        name: float(value.abs().max()) for name, value in values.items() if value.is_floating_point() and value.numel()
    }
    moved = {name: NEAR * far + _ULPS * largest[name] + noise for name, far in trained.moved.items() if name in largest}
    return moved | {name: NEAR * largest[name] for name in trained.outputs if name in largest}

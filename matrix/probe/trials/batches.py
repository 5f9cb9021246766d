"""A batch that a new model can be trained with, and values that it can be trained from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from matrix.check_protocol import NotApplicableError
from matrix.probe.checkpoint.fixture import Model
from matrix.probe.trials.forwards import find_loss, run_forward
from matrix.probe.trials.inputs import list_arguments, make_candidates
from matrix.probe.trials.shapes import SHAPES

_FILE: Final = "batch.pt"
_SPREAD, _SANE = 0.02, 10.0
"""How far the values of the checkpoint are from those of a new model; what is larger there was never written."""


@dataclass(frozen=True)
class Batch:
    """What `forward` is given, and the `rate` with which the largest step of any value is one."""

    inputs: Mapping[str, Tensor]
    rate: float
    outputs: tuple[str, ...]
    """Those that are finite in one process; the loss is made of the `learning` ones."""
    learning: tuple[str, ...]
    frozen: tuple[str, ...]
    """The parameters that the constructor freezes. A plain load may train them (transformers 5.24.0, patchtst)."""


@torch.no_grad()
def fill_randomly(model: Model) -> None:
    """Gives a new model random values near those that it has: every parameter takes part, variances stay positive."""
    torch.manual_seed(0)
    for parameter in filter(torch.is_floating_point, model.parameters()):
        sane = torch.where(parameter.abs() < _SANE, parameter, 0)
        parameter.copy_(sane + _SPREAD * torch.randn_like(parameter))
    saved = model.state_dict(keep_vars=True)
    for name, buffer in model.named_buffers():
        if name in saved and buffer.is_floating_point():
            buffer.add_(_SPREAD * torch.rand_like(buffer))


def find_batch(model: Model) -> Batch | Exception:
    """Returns the first inputs that a new model takes forward and back, or what refused the first of them."""
    unknown = [name for name, needed in list_arguments(model).items() if needed and name not in SHAPES]
    refused: Exception = NotApplicableError(f"it needs {', '.join(unknown) or 'what its signature does not name'}")
    for number, inputs in enumerate(make_candidates(model)):
        tried = _try(model, inputs)
        if isinstance(tried, Batch):
            return tried
        refused = refused if number else tried
    return refused


def _try(model: Model, inputs: Mapping[str, Tensor]) -> Batch | Exception:
    try:
        model.zero_grad()
        outputs = run_forward(model, model, inputs)
        finite = [name for name in outputs[0] if all(bool(each[name].isfinite().all()) for each in outputs)]
        learning = tuple(name for name in finite if outputs[1][name].requires_grad)
        if not learning:
            return NotApplicableError("no finite output depends on a parameter")
        find_loss(outputs[1], learning).backward()
        largest = max(float(one.grad.abs().max()) for one in model.parameters() if one.grad is not None and one.numel())
    except Exception as error:
        return error
    if not 0 < largest < float("inf"):
        return NotApplicableError("no finite gradient")
    frozen = tuple(name for name, one in model.named_parameters() if not one.requires_grad)
    return Batch(inputs, 1 / largest, tuple(finite), learning, frozen)


def save_batch(batch: Batch, folder: Path) -> None:
    """Writes what a model is trained with into the folder of its checkpoint."""
    torch.save(batch, folder / _FILE)


def load_batch(folder: Path) -> Batch:
    """Reads what `save_batch` wrote."""
    batch: Batch = torch.load(folder / _FILE, weights_only=False)  # our own file
    return batch

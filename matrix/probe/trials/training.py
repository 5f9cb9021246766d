"""One forward and one step of plain gradient descent, in one process or on a rank of ZeRO-3, with the same batch."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from matrix.check_protocol import NotApplicableError
from matrix.model import Precision
from matrix.probe import compat
from matrix.probe.checkpoint.fixture import Model, named_tensors
from matrix.probe.trials.inputs import SHAPES, list_arguments, make_candidates

OUTPUT: Final = "output"
"""What the names of outputs begin with."""
NEAR: Final = 1e-3
"""How far a value may be from one process's, as a part of the largest output, or of the largest step of its tensor."""
_ULPS, _NOISE = 2**-20, 1e-6
"""What float32 may lose besides: of the value itself, and of the largest step of any tensor."""
_FILE = "batch.pt"
_SPREAD, _SANE = 0.02, 10.0
"""How far the values of the checkpoint are from those of a new model; what is larger there was never written."""


Outputs = Mapping[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """What `forward` is given, and the `rate` with which the largest step of any value is one."""

    inputs: Mapping[str, Tensor]
    rate: float
    outputs: tuple[str, ...]
    """Those that are finite in one process; the loss is made of the `learning` ones."""
    learning: tuple[str, ...]


@dataclass(frozen=True)
class Trained:
    """What a step gave: floating outputs by name, and, in one process, how far each tensor moved at most."""

    outputs: Mapping[str, Tensor] = field(default_factory=dict)
    moved: Mapping[str, float] = field(default_factory=dict)


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


def _run(call: Any, model: Model, inputs: Mapping[str, Tensor]) -> tuple[Outputs, Outputs]:
    """Returns the outputs of a forward with the statistics of the checkpoint, and those of one that moves them."""
    _ready(model)
    device = next(model.parameters()).device
    given = {name: value.to(device) for name, value in inputs.items()}
    with torch.no_grad():
        first = dict(_list_outputs(OUTPUT, call(**given)))
    for norm in model.modules():
        if isinstance(norm, torch.nn.modules.batchnorm._BatchNorm):
            norm.train()
    return first, dict(_list_outputs(OUTPUT, call(**given)))


def _loss(outputs: Outputs, names: Iterable[str]) -> Tensor:
    return torch.stack([outputs[name].float().square().mean() for name in names]).sum()


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
        outputs = _run(model, model, inputs)
        finite = [name for name in outputs[0] if all(bool(each[name].isfinite().all()) for each in outputs)]
        learning = tuple(name for name in finite if outputs[1][name].requires_grad)
        if not learning:
            return NotApplicableError("no finite output depends on a parameter")
        _loss(outputs[1], learning).backward()
        largest = max(float(one.grad.abs().max()) for one in model.parameters() if one.grad is not None and one.numel())
    except Exception as error:
        return error
    possible = 0 < largest < float("inf")
    return Batch(inputs, 1 / largest, tuple(finite), learning) if possible else NotApplicableError("no finite gradient")


def save_batch(batch: Batch, folder: Path) -> None:
    """Writes what a model is trained with into the folder of its checkpoint."""
    torch.save(batch, folder / _FILE)


def load_batch(folder: Path) -> Batch:
    """Reads what `save_batch` wrote."""
    batch: Batch = torch.load(folder / _FILE, weights_only=False)  # our own file
    return batch


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
    first, second = _run(call, model, batch.inputs)
    backward(_loss(second, batch.learning))
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

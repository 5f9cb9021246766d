"""Is this tensor what it should be, and if not, what is it instead? Pure functions over tensors."""

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from matrix.check_protocol import Flaw
from matrix.model import SHOWN_VALUES, Kind, Scalar
from matrix.probe.checkpoint.floats import equal, find_rounding, identical, is_narrower, part, significant_bits

RTOL = 2e-3
"""Relative tolerance for the constructor's values, which are evidence of why a tensor is wrong, not whether it is.

They were computed on the CPU. A GPU gives other last bits: RoPE is up to 2e-3 off (transformers #28685).
"""
ATOL = 1e-6
UNITS_ON_GPU = 32
"""In the last place of float32 or wider: a GPU's powers differ from a CPU's by up to 18 (H200, torch 2.11).

Rounding to fp16 changes a value by up to 4096 of them.
"""


@dataclass(frozen=True)
class Reference:
    """What every tensor of one architecture should hold, on CPU.

    Each tensor has the dtype and the value that are right. `expected` is the checkpoint's content, `initial` what the
    constructor gave, both keyed by tensor name; `nonpersistent` what the configuration computes on the CPU. `sites`
    names module class and buffer. `plain` has what a plain load gives where that is wrong itself.
    """

    expected: dict[str, Tensor]
    initial: dict[str, Tensor]
    nonpersistent: dict[str, Tensor]
    parameters: frozenset[str]
    sites: dict[str, str] = field(default_factory=dict)
    plain: dict[str, Tensor] = field(default_factory=dict)
    computed: bool = False
    """Whether all is computed, and nothing loaded: then nothing has to agree in every bit."""
    outputs: frozenset[str] = frozenset()
    """Those of `nonpersistent` that a forward gives, and no tensors of the model."""
    telling: frozenset[str] | None = None
    """The tensors whose values no other has by chance; None for all."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What each tensor should hold, in the checkpoint or not."""
        return {**self.expected, **self.nonpersistent}

    def find(self, name: str) -> Tensor:
        """Returns what tensor `name` should hold; raises KeyError for a name that nothing is known of."""
        return self.expected[name] if name in self.expected else self.nonpersistent[name]


@dataclass(frozen=True)
class Judged:
    """What is wrong with one tensor, and a `note` on what is merely different: the same value in another dtype."""

    flaws: tuple[Flaw, ...] = ()
    note: str = ""


def scalar(value: complex) -> Scalar:
    """Returns `value` as JSON can hold it."""
    if isinstance(value, complex):
        return str(value)
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def _quote(values: Tensor) -> tuple[Scalar, ...]:
    return tuple(scalar(value) for value in values[:SHOWN_VALUES].tolist())


def _holds_other(name: str, actual: Tensor, reference: Reference) -> str | None:
    """Returns the name of the other tensor whose sentinel this is. One bool has too few values to tell."""
    expected = reference.find(name)
    if expected.dtype is torch.bool:
        return None
    # What is held in fewer bits is compared in those: rounded sentinels still differ from each other.
    rounded = actual.dtype.is_floating_point and is_narrower(actual.dtype, expected.dtype)
    held = actual if rounded else actual.to(expected.dtype)
    telling = reference.expected if reference.telling is None else reference.telling
    others = ((other, value) for other, value in reference.expected.items() if other != name and other in telling)
    alike = ((other, value) for other, value in others if value.shape == held.shape and value.dtype is not torch.bool)
    return next((other for other, value in alike if identical(value.to(held.dtype), held)), None)


def _holds_initial(name: str, actual: Tensor, reference: Reference) -> bool:
    initial = reference.initial.get(name)
    if initial is None:
        return False
    if not (actual.dtype.is_floating_point and initial.dtype.is_floating_point):
        return bool(equal(actual, initial).all())
    near = torch.isclose(actual.double(), initial.to(actual.dtype).double(), rtol=RTOL, atol=ATOL, equal_nan=True)
    return bool(near.all())


def _kind(name: str, actual: Tensor, same: Tensor, reference: Reference) -> tuple[Kind, str]:
    # First, because it is the most specific: no other tensor's sentinel appears by chance.
    if other := _holds_other(name, actual, reference):
        return Kind.OTHER_TENSOR, f"holds the value of {other}"
    if _holds_initial(name, actual, reference):
        return Kind.INIT_VALUE, ""
    # After the constructor's value, which is all zeros for many buffers.
    if not actual.any():
        return Kind.ZEROS, ""
    if actual.dtype.is_floating_point and not torch.isfinite(actual.double()).all():
        return Kind.NONFINITE, ""
    return (Kind.PARTIAL if same.any() else Kind.GARBAGE), ""


def _rounding(name: str, actual: Tensor, same: Tensor, reference: Reference) -> str:
    """Returns how `actual` is the right value in a narrower dtype, or come back from one; nothing where it is not."""
    expected = reference.find(name)
    if bool(same.all()):
        return _dtypes(actual, expected) if is_narrower(actual.dtype, expected.dtype) else ""
    narrower = find_rounding(actual, expected, exact=name in reference.expected)
    if narrower is None:
        return ""
    through = "" if narrower in {actual.dtype, part(actual.dtype)} else f"went through {narrower}"
    return ", ".join(filter(None, (_dtypes(actual, expected), through))).replace("torch.", "")


def _dtypes(actual: Tensor, expected: Tensor) -> str:
    return f"{expected.dtype} became {actual.dtype}".replace("torch.", "") if actual.dtype != expected.dtype else ""


def _tolerated(name: str, actual: Tensor, reference: Reference) -> int:
    """Returns by how many units in the last place `actual` may differ: what is computed, and not loaded, by one or more."""
    if name in reference.expected and not reference.computed:
        return 0
    fine = significant_bits(reference.find(name).dtype) >= significant_bits(torch.float32)
    return UNITS_ON_GPU if fine and actual.device.type != "cpu" else 1


def _judge_values(name: str, actual: Tensor, units: int, reference: Reference) -> Judged:
    """Judges a tensor of the right shape, on the CPU."""
    expected = reference.find(name)
    same = equal(actual, expected, units)
    dtypes, rounding = _dtypes(actual, expected), _rounding(name, actual, same, reference)
    if bool(same.all()) and not rounding:
        return Judged(note=f"{dtypes}, with equal values" if dtypes else "")
    if not rounding and _is_more_exact(actual, expected):
        return Judged(note=f"{dtypes}, with values that are not rounded")
    kind, detail = (Kind.ROUNDED, rounding) if rounding else _kind(name, actual, same, reference)
    wrong = ~same.flatten()
    counts = (int(wrong.sum()), wrong.numel())
    value = Flaw(kind, _quote(expected.flatten()[wrong]), _quote(actual.flatten()[wrong]), counts, detail)
    return Judged((Flaw(Kind.DTYPE, detail=dtypes), value) if dtypes and not rounding else (value,))


def _is_more_exact(actual: Tensor, expected: Tensor) -> bool:
    """Returns whether `actual` has more bits of the same value: the plain load rounded what this does not."""
    finer = actual.dtype != expected.dtype and not is_narrower(actual.dtype, expected.dtype)
    return finer and expected.is_floating_point() and identical(actual.to(expected.dtype), expected)


def judge(name: str, actual: Tensor | None, reference: Reference) -> Judged:
    """Judges tensor `name`, which a rank holds as `actual` on any device.

    A right value in another dtype gets a note; where the dtype is narrower, it is the flaw `rounded`. Where the value is
    wrong in another way, its dtype can be a second flaw.
    """
    expected = reference.find(name)
    if actual is None:
        return Judged((Flaw(Kind.ABSENT, _quote(expected.flatten())),))
    if actual.is_meta:
        return Judged((Flaw(Kind.META, _quote(expected.flatten())),))
    if actual.shape != expected.shape:
        return Judged((Flaw(Kind.SHAPE, detail=f"{list(expected.shape)} became {list(actual.shape)}"),))
    units, held = _tolerated(name, actual, reference), actual.detach().cpu()
    found = _judge_values(name, held, units, reference)
    as_plain = _judge_as_plain(name, held, reference) if found.flaws else None
    return as_plain or found


def _judge_as_plain(name: str, actual: Tensor, reference: Reference) -> Judged | None:
    """Judges a tensor that a plain load gets wrong too, by what that gives: that value may be rounded besides."""
    if name not in reference.plain:
        return None
    found = _judge_values(name, actual, 0, replace(reference, expected={name: reference.plain[name]}))
    return found if [flaw.kind for flaw in found.flaws] == [Kind.ROUNDED] else None

"""Is this tensor what it should be, and if not, what is it instead? Pure functions over tensors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from matrix.check_protocol import Flaw
from matrix.model import SHOWN_VALUES, Kind, Scalar

RTOL = 2e-3
"""Relative tolerance for non-persistent buffers: RoPE computed on a GPU is up to 2e-3 off (transformers #28685)."""
ATOL = 1e-6


@dataclass(frozen=True)
class Reference:
    """What every tensor of one architecture should hold, on CPU.

    `expected` is the checkpoint's content, `initial` what the constructor gave, both keyed by tensor name;
    `nonpersistent` what the configuration computes in float32 on CPU. `sites` names module class and buffer.
    """

    expected: dict[str, Tensor]
    initial: dict[str, Tensor]
    nonpersistent: dict[str, Tensor]
    parameters: frozenset[str]
    sites: dict[str, str] = field(default_factory=dict)


def scalar(value: complex) -> Scalar:
    """Returns `value` as JSON can hold it."""
    if isinstance(value, complex):
        return str(value)
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def _quote(values: Tensor) -> tuple[Scalar, ...]:
    return tuple(scalar(value) for value in values[:SHOWN_VALUES].tolist())


def _same(actual: Tensor, expected: Tensor, *, exact: bool) -> Tensor:
    """Compares elements: bit for bit when `exact` (a sentinel is never 0 or NaN), else within tolerance."""
    if exact or not expected.dtype.is_floating_point:
        return actual == expected
    return torch.isclose(actual, expected, rtol=RTOL, atol=ATOL, equal_nan=True)


def _holds_other(actual: Tensor, name: str, sentinels: Mapping[str, Tensor]) -> str | None:
    """Returns the name of the other tensor whose sentinel this is. One bool has too few values to tell."""
    if actual.dtype is torch.bool:
        return None
    same_shape = (other for other, value in sentinels.items() if other != name and value.shape == actual.shape)
    return next((other for other in same_shape if torch.equal(sentinels[other].to(actual.dtype), actual)), None)


def _kind(name: str, actual: Tensor, same: Tensor, reference: Reference) -> tuple[Kind, str]:
    initial = reference.initial.get(name)
    # First, because it is the most specific: no other tensor's sentinel appears by chance.
    if other := _holds_other(actual, name, reference.expected):
        return Kind.OTHER_TENSOR, f"holds the value of {other}"
    if initial is not None and bool(_same(actual, initial.to(actual.dtype), exact=False).all()):
        return Kind.INIT_VALUE, ""  # computed on a GPU, the constructor's value may differ in the last bits
    # After the constructor's value, which is all zeros for many buffers.
    if not actual.any():
        return Kind.ZEROS, ""
    if actual.dtype.is_floating_point and not torch.isfinite(actual).all():
        return Kind.NONFINITE, ""
    return (Kind.PARTIAL if same.any() else Kind.GARBAGE), ""


def _value_flaw(name: str, actual: Tensor, expected: Tensor, reference: Reference) -> Flaw | None:
    same = _same(actual, expected, exact=name in reference.expected)
    if bool(same.all()):
        return None
    kind, detail = _kind(name, actual, same, reference)
    wrong = ~same.flatten()
    counts = (int(wrong.sum()), wrong.numel())
    return Flaw(kind, _quote(expected.flatten()[wrong]), _quote(actual.flatten()[wrong]), counts, detail)


def judge(name: str, actual: Tensor | None, reference: Reference) -> list[Flaw]:
    """Returns at most a dtype and a value flaw of tensor `name`, which a rank holds as `actual` on any device.

    Value and dtype are judged apart: a float32 buffer held in bfloat16 with the right value has one flaw, the dtype.
    """
    expected = reference.expected.get(name, reference.nonpersistent.get(name))
    if expected is None:
        raise KeyError(name)
    if actual is None:
        return [Flaw(Kind.ABSENT, _quote(expected.flatten()))]
    if actual.is_meta:
        return [Flaw(Kind.META, _quote(expected.flatten()))]
    if actual.shape != expected.shape:
        return [Flaw(Kind.SHAPE, detail=f"{list(expected.shape)} became {list(actual.shape)}")]
    flaws = []
    if actual.dtype != expected.dtype:
        flaws.append(Flaw(Kind.DTYPE, detail=f"{expected.dtype} became {actual.dtype}".replace("torch.", "")))
    value = _value_flaw(name, actual.detach().cpu().to(expected.dtype), expected, reference)
    return flaws + ([value] if value else [])

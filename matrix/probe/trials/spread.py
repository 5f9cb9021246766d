"""Random values: which elements of a tensor are random, and whether a rank's are written, finite and of the right size.

PURE: no input or output.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from matrix.check_protocol import Flaw
from matrix.model import SHOWN_VALUES, Kind, Scalar
from matrix.probe.checkpoint.floats import equal, is_inexact
from matrix.probe.checkpoint.judge import scalar

FACTOR: Final = 3.0
"""How much further, or less far, random values may spread than those of a plain model."""
FEW: Final = 16
"""Of fewer random elements than that, the spread says little: they only may not be ten times as large."""


@dataclass(frozen=True)
class Random:
    """The elements of a tensor that are random: `where`, the `mean` of two plain models and the `spread` around it."""

    where: Tensor
    mean: float
    spread: float


def find_random(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> dict[str, Random]:
    """Returns what differs between two models that were made alike but for their seeds."""
    same = {name: _find_same(value, other[name]) for name, value in one.items() if name in other}
    return {name: _measure(~mask, one[name], other[name]) for name, mask in same.items() if not bool(mask.all())}


def _find_same(one: Tensor, other: Tensor) -> Tensor:
    """Returns the elements that two models share: all, or whole rows from the first on, as resizing keeps them.

    Not each for itself: bf16 has so few values that some random ones are equal by chance.
    """
    same = equal(one, other)
    if bool(same.all()) or not same.dim():
        return same
    rows = same.reshape(len(same), -1).all(dim=1).int().cumprod(dim=0).bool()
    kept = rows if int(rows.sum()) * same[0].numel() >= FEW else torch.zeros_like(rows)
    return kept.reshape(-1, *[1] * (same.dim() - 1)).expand_as(same)


def _measure(where: Tensor, one: Tensor, other: Tensor) -> Random:
    values = _numbers(torch.cat([one[where], other[where]]))
    return Random(where, float(values.mean()), float(values.std(correction=0)))


def _numbers(values: Tensor) -> Tensor:
    return torch.view_as_real(values).double() if values.is_complex() else values.double()


def judge_random(actual: Tensor, random: Random) -> Flaw | None:
    """Returns what is wrong with the random elements of `actual`, on the CPU and of the right shape; None if nothing is."""
    values = actual[random.where]
    numbers = _numbers(values)
    wrong = ~torch.isfinite(numbers)
    counts = (int(random.where.sum()), actual.numel())
    if bool(wrong.any()):
        return Flaw(Kind.NONFINITE, (), _quote(values), counts, "never written, where one process has random values")
    if not is_inexact(actual.dtype):
        return None
    spread = float((numbers - random.mean).square().mean().sqrt())
    if not bool(numbers.any()):
        return Flaw(Kind.ZEROS, (), (), counts, f"one process has random values that spread by {random.spread:.2g}")
    if _alike(spread, random.spread, len(values)):
        return None
    return Flaw(
        Kind.UNLIKE, (), _quote(values), counts, f"spread by {spread:.2g}, those of one process by {random.spread:.2g}"
    )


def _alike(spread: float, plain: float, elements: int) -> bool:
    if elements < FEW:
        return spread <= 10 * plain
    return plain / FACTOR <= spread <= plain * FACTOR


def _quote(values: Tensor) -> tuple[Scalar, ...]:
    return tuple(scalar(value) for value in values.flatten()[:SHOWN_VALUES].tolist())

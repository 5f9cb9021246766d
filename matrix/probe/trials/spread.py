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
"""How much further, or less far, random values may spread than those of one process."""
FEW: Final = 16
"""Of fewer random elements than that, the spread says nothing: they only have to be written."""
PIECE: Final = 64
"""Elements whose spread is compared together: a rank that wrote nothing shows, however many there are."""


@dataclass(frozen=True)
class Random:
    """The elements of a tensor that are random: `where`, the `mean` of two models of one process, and the `spread` of each piece.

    `least` and `most` are the least and the greatest value of the two.
    """

    where: Tensor
    mean: float
    spread: Tensor
    least: float
    most: float


Masks = dict[str, Tensor]
"""Which elements of a tensor are random, for those that have any."""


def find_masks(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> Masks:
    """Returns where two models differ that were made alike, in float32, but for their seeds."""
    same = {name: _find_same(value, other[name]) for name, value in one.items() if name in other}
    return {name: ~mask for name, mask in same.items() if not bool(mask.all())}


def _find_same(one: Tensor, other: Tensor) -> Tensor:
    """Returns the elements that two models share: all, or whole rows, as resizing keeps them and padding has one.

    Not each for itself: some random values are equal by chance. Short rows only count from the first on.
    """
    same = equal(one, other)
    if bool(same.all()) or not same.dim():
        return same
    rows = same.reshape(len(same), -1).all(dim=1)
    if same[0].numel() < FEW:
        rows = rows.int().cumprod(dim=0).bool()
        rows = rows if int(rows.sum()) * same[0].numel() >= FEW else torch.zeros_like(rows)
    return rows.reshape(-1, *[1] * (same.dim() - 1)).expand_as(same)


def measure_random(masks: Masks, one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> dict[str, Random]:
    """Returns how the random elements spread in two models that were made alike but for their seeds."""
    return {name: _measure(mask, one[name], other[name]) for name, mask in masks.items() if name in one}


def _measure(where: Tensor, one: Tensor, other: Tensor) -> Random:
    first, second = _numbers(one[where]), _numbers(other[where])
    both = torch.cat([first, second])
    mean = float(both.mean())
    spread = (_spreads(first, mean).square() + _spreads(second, mean).square()).div(2).sqrt()
    return Random(where, mean, spread, float(both.min()), float(both.max()))


def _numbers(values: Tensor) -> Tensor:
    return (torch.view_as_real(values) if values.is_complex() else values).double().flatten()


def _spreads(numbers: Tensor, mean: float) -> Tensor:
    """Returns how far each piece spreads around `mean`. The last piece is the longest."""
    pieces = max(1, numbers.numel() // PIECE)
    whole = numbers[: (pieces - 1) * PIECE].reshape(-1, PIECE) if pieces > 1 else numbers[:0].reshape(0, PIECE)
    last = numbers[(pieces - 1) * PIECE :]
    return torch.cat([(whole - mean).square().mean(dim=1), (last - mean).square().mean().reshape(1)]).sqrt()


def judge_random(actual: Tensor, random: Random) -> Flaw | None:
    """Returns what is wrong with the random elements of `actual`, on the CPU and of the right shape; None if nothing is."""
    values, counts = actual[random.where], (int(random.where.sum()), actual.numel())
    numbers = _numbers(values)
    if bool((~torch.isfinite(numbers)).any()):
        return Flaw(Kind.NONFINITE, (), _quote(values), counts, "never written, where one process has random values")
    if not bool(numbers.any()) and is_inexact(actual.dtype):
        return Flaw(Kind.ZEROS, (), (), counts, f"one process has random values of about {_about(random):.2g}")
    found = _compare_spread(numbers, random) if is_inexact(actual.dtype) else _compare_range(numbers, random)
    return Flaw(Kind.UNLIKE, (), _quote(values), counts, found) if found else None


def _about(random: Random) -> float:
    return float(random.spread.square().mean().sqrt())


def _compare_range(numbers: Tensor, random: Random) -> str:
    inside = bool(((numbers >= random.least) & (numbers <= random.most)).all())
    return "" if inside else f"one process has random values from {random.least:g} to {random.most:g}"


def _compare_spread(numbers: Tensor, random: Random) -> str:
    """Returns where values spread unlike those of one process, in the first piece that does; nothing where none does."""
    spread = _spreads(numbers, random.mean)
    unlike = (spread > FACTOR * random.spread) | (spread < random.spread / FACTOR)
    if numbers.numel() < FEW or not bool(unlike.any()):
        return ""
    piece = int(unlike.nonzero()[0])
    return f"spread by {float(spread[piece]):.2g}, those of one process by {float(random.spread[piece]):.2g}"


def _quote(values: Tensor) -> tuple[Scalar, ...]:
    return tuple(scalar(value) for value in values.flatten()[:SHOWN_VALUES].tolist())

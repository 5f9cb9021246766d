"""Dtypes: which is narrower, what rounding leaves of a value, and which values are equal. Pure functions over tensors."""

import math
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

ROUNDED_TO: Final = (torch.float32, torch.float16, torch.bfloat16)
"""What values may have been rounded to, the finest first. In none of these are sentinels of two tensors alike."""
_FEWEST_BITS: Final = 8
"""The significant bits of bfloat16. What is coarser, such as float8, shows too little of a value to know it again."""
_PARTS: Final[Mapping[torch.dtype, torch.dtype]] = {
    torch.complex32: torch.float16,
    torch.complex64: torch.float32,
    torch.complex128: torch.float64,
}


def is_inexact(dtype: torch.dtype) -> bool:
    """Returns whether `dtype` rounds: whether it is a floating-point or a complex one."""
    return dtype.is_floating_point or dtype.is_complex


def part(dtype: torch.dtype) -> torch.dtype:
    """Returns the dtype of the parts of a complex `dtype`, and any other dtype unchanged."""
    return _PARTS.get(dtype, dtype)


def significant_bits(dtype: torch.dtype) -> int:
    """Returns how many significant bits `dtype` has."""
    return _size(dtype)[0]


def _size(dtype: torch.dtype) -> tuple[int, float]:
    """Returns how many significant bits `dtype` has, and its greatest value."""
    if dtype is torch.bool:
        return 1, 1
    if is_inexact(dtype):
        about = torch.finfo(part(dtype))
        return 1 - int(math.log2(about.eps)), about.max
    whole = torch.iinfo(dtype)
    return whole.bits - (whole.min < 0), whole.max


def is_narrower(dtype: torch.dtype, than: torch.dtype) -> bool:
    """Returns whether `dtype` has fewer significant bits than the other, or a smaller range.

    Ranges of integers and of floats are not compared: an int64 keeps every whole number that a model counts in float32.
    """
    (bits, greatest), (other_bits, other_greatest) = _size(dtype), _size(than)
    smaller = is_inexact(dtype) == is_inexact(than) and greatest < other_greatest
    return bits < other_bits or smaller


def identical(one: Tensor, other: Tensor) -> bool:
    """Returns whether two tensors agree in dtype, shape and every bit. `torch.equal` does not know float8."""
    alike = one.dtype == other.dtype and one.shape == other.shape
    return alike and torch.equal(one.flatten().view(torch.uint8), other.flatten().view(torch.uint8))


def _spacing(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns for each of `values`, in float64, the unit in its last place as `dtype` has it."""
    about = torch.finfo(dtype)
    magnitudes = values.abs().clamp(about.tiny, about.max)
    return about.eps * (magnitudes / (2 * torch.frexp(magnitudes).mantissa))  # the power of two below each is exact


def _close(actual: Tensor, expected: Tensor, unit_of: torch.dtype, units: int = 0) -> Tensor:
    """Compares inexact values, element by element, within so many units in the last place of `unit_of`."""
    if expected.is_complex():
        one, other = (torch.view_as_real(values.to(torch.complex128)) for values in (actual, expected))
        return _close(one, other, unit_of, units).all(dim=-1)
    one, other = actual.double(), expected.double()
    same = (one == other) | (one.isnan() & other.isnan())
    return same | ((one - other).abs() <= units * _spacing(other, unit_of)) if units else same


def equal(actual: Tensor, expected: Tensor, units: int = 0) -> Tensor:
    """Compares values, element by element, whatever the dtypes.

    Floats may differ by so many `units` in the last place of the dtype of `expected`.
    """
    if _comparable(actual, expected):
        return _close(actual, expected, part(expected.dtype), units)
    moved = actual.to(expected.dtype)
    return (moved == expected) & (moved.to(actual.dtype) == actual)  # 3.7 is not 3, though it becomes 3


def _comparable(actual: Tensor, expected: Tensor) -> bool:
    return is_inexact(actual.dtype) and is_inexact(expected.dtype) and actual.is_complex() == expected.is_complex()


def round_to(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns `values` rounded to `dtype`, in the dtype they have. For complex numbers, `dtype` is that of a part."""
    if values.is_complex():
        return torch.view_as_complex(torch.view_as_real(values).to(dtype).to(part(values.dtype)))
    return values.to(dtype).to(values.dtype)


def find_rounding(actual: Tensor, expected: Tensor, *, exact: bool) -> torch.dtype | None:
    """Returns the narrower dtype to which `actual` is `expected` rounded, the finest that fits; None if there is none.

    Where `exact` is false, values that have to be rounded may be off by one unit in the last place of that dtype.
    """
    if not _comparable(actual, expected) or significant_bits(actual.dtype) < _FEWEST_BITS:
        return None
    narrower = [dtype for dtype in (part(actual.dtype), *ROUNDED_TO) if is_narrower(dtype, expected.dtype)]
    tests = (_is_rounded,) if exact else (_is_rounded, _is_nearly_rounded)
    return next((dtype for test in tests for dtype in narrower if test(actual, expected, dtype)), None)


def _is_rounded(actual: Tensor, expected: Tensor, dtype: torch.dtype) -> bool:
    rounded = round_to(expected, dtype).to(actual.dtype)
    # Zeros, which tiny values become, are no evidence of the values that were there.
    return bool(rounded.any()) and bool(_close(actual, rounded, dtype).all())


def _is_nearly_rounded(actual: Tensor, expected: Tensor, dtype: torch.dtype) -> bool:
    rounded = round_to(expected, dtype)
    on_grid = bool(_close(round_to(actual, dtype), actual, dtype).all())
    # A value that `dtype` holds exactly is not rounded at all, so no tolerance applies: 201 is wrong where 200 is right.
    near = _close(actual, rounded, dtype) | (_close(actual, rounded, dtype, 1) & ~_close(rounded, expected, dtype))
    return on_grid and bool(rounded.any()) and bool(near.all())

"""Values that cannot be mistaken: derived from a tensor's name, using every bit of its dtype, never 0, 1 or infinite.

A way through a narrower dtype changes each, and rounded to one they still differ from each other. But for
integers that may be indices: those are the constructor's own, in other places.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from hashlib import sha256

import torch
from torch import Tensor

_SIGNIFICANDS = 128  # bfloat16 keeps 8 significant bits: 1 + m/128 is exact there
_LOW_BITS = (10, 23, 52)
"""The last places after the point that float16, float32 and float64 have."""
_SPREAD = 2654435761  # Knuth's multiplier: neighbouring codes differ in all of their low bits
_DISTANCES = 64
"""So many are tried before two tensors of the same indices may get the same sentinel."""
_EXPONENTS = range(-5, 5)  # far from fp16's subnormals and overflow
CODES = 2 * _SIGNIFICANDS * len(_EXPONENTS)


@cache
def _table() -> Tensor:
    """Returns the `CODES` float64 values that sentinels are made of: ±(1 + m/128 + low bits)·2^e, without ±1.

    Rounded to a dtype of `_LOW_BITS` or to bfloat16, each keeps its first bits and loses the others.
    """
    significands = 1 + torch.arange(_SIGNIFICANDS, dtype=torch.float64) / _SIGNIFICANDS
    magnitudes = torch.cat([significands * 2.0**exponent for exponent in _EXPONENTS])
    # 1 is what a constructor gives to norms and scales, so it would prove nothing.
    magnitudes[magnitudes == 1] = 2.0**_EXPONENTS.stop
    heads = torch.stack([magnitudes, -magnitudes], dim=1).flatten()
    return heads + torch.ldexp(_low_parts(), torch.frexp(heads).exponent - 1) * heads.sign()


def _low_parts() -> Tensor:
    """Returns what the codes add to a significand between 1 and 2: in each dtype's own bits something, never a half.

    Less than half of the unit of the dtype before, so that rounding does not carry, and not zero, so that it changes it.
    """
    codes, before, result = torch.arange(CODES), 7, torch.zeros(CODES, dtype=torch.float64)
    for last in _LOW_BITS:
        values = 2 ** (last - before - 1) - 1
        result += (1 + codes * _SPREAD % values).double() / 2.0**last
        before = last
    return result


def _digest(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big")


def codes(names: Mapping[str, Tensor]) -> dict[str, int]:
    """Returns a different number below `CODES` for every name while there are so few: hash, then the next free one."""
    taken: set[int] = set()
    result = {}
    # Sorted, so that collisions are settled the same way whatever order a release registers tensors in.
    for name in sorted(names):
        code = _digest(name) % CODES
        while code in taken and len(taken) < CODES:
            code = (code + 1) % CODES
        taken.add(code)
        result[name] = code
    return result


def sentinel(name: str, code: int, initial: Tensor, taken: AbstractSet[Hashable] = frozenset()) -> Tensor:
    """Returns the sentinel of the tensor `name`: shape and dtype of `initial`, the constructor's value, on CPU.

    Neighbouring elements differ, so that a shifted or partly loaded tensor is seen. A bool has only two values: it
    becomes the opposite of what the constructor gave. Integers that differ may be indices: they change places, so that
    they stay in the range of what they point into, and the whole is none of those `taken`, as `content` identifies them.
    """
    if initial.dtype is torch.bool:
        return ~initial.detach().cpu()
    # Odd, so that it shares no factor 2 with the table: a tensor walks over many codes before one comes back.
    stride = 2 * (_digest(name) % 997) + 1
    index = (code + stride * torch.arange(initial.numel())) % CODES
    if initial.dtype.is_complex:
        values: Tensor = torch.complex(_table()[index], _table()[(index + 1) % CODES])
    elif initial.dtype.is_floating_point:
        values = _table()[index]
    else:
        moved = _moved(initial, code, taken)
        values = 2 + index % min(torch.iinfo(initial.dtype).max - 2, CODES) if moved is None else moved
    return values.to(initial.dtype).reshape(initial.shape)


def _moved(initial: Tensor, code: int, taken: AbstractSet[Hashable]) -> Tensor | None:
    """Returns the elements of `initial`, flat, moved by a distance that follows from `code`; None if all are alike."""
    flat = initial.detach().cpu().flatten()
    if not flat.numel() or bool((flat == flat[0]).all()):
        return None
    tries = min(flat.numel() - 1, _DISTANCES)
    moved = [flat.roll(1 + (code + step) % (flat.numel() - 1)) for step in range(tries)]
    changed = [one for one in moved if not torch.equal(one, flat)] or [flat.roll(1)]
    return next((one for one in changed if content(one.reshape(initial.shape)) not in taken), changed[0])


def content(tensor: Tensor) -> Hashable:
    """Returns what identifies a tensor of whole numbers."""
    return tensor.dtype, tensor.shape, tuple(tensor.flatten().tolist())


def sentinels(initial: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the sentinel of every tensor of a state dict, under the same keys.

    No two are alike, nor like what another one was, but for bools and for indices that no place tried makes different.
    """
    taken = {content(tensor) for tensor in initial.values() if _whole(tensor)}
    result = {}
    for name, code in codes(initial).items():
        result[name] = sentinel(name, code, initial[name], taken)
        if _whole(result[name]):
            taken.add(content(result[name]))
    return result


def _whole(tensor: Tensor) -> bool:
    return not (tensor.dtype.is_floating_point or tensor.dtype.is_complex or tensor.dtype is torch.bool)


def find_alike(values: Mapping[str, Tensor], initial: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Returns the tensors whose sentinel proves little: another has the same, or it is the constructor's own value.

    Their dtype has too few values: one bool, int8, float8.
    """
    same: dict[Hashable, list[str]] = defaultdict(list)
    for name, value in values.items():
        same[_bits(value)].append(name)
    twice = {name for names in same.values() if len(names) > 1 for name in names}
    unmoved = {name for name, value in values.items() if _bits(value) == _bits(initial[name])}
    return tuple(sorted(name for name in twice | unmoved if values[name].numel()))


def _bits(tensor: Tensor) -> Hashable:
    return tensor.dtype, tensor.shape, tensor.detach().cpu().flatten().view(torch.uint8).numpy().tobytes()

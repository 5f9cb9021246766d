"""Values that cannot be mistaken: told by a tensor's name, exact in every common dtype, never 0, 1 or infinite."""

from collections.abc import Mapping
from hashlib import sha256

import torch
from torch import Tensor

_SIGNIFICANDS = 128  # bfloat16 keeps 8 significant bits: 1 + m/128 is exact there, and in fp16 and fp32 as well
_EXPONENTS = range(-5, 5)  # far from fp16's subnormals and overflow
CODES = 2 * _SIGNIFICANDS * len(_EXPONENTS)


def _table() -> Tensor:
    """The `CODES` distinct float32 values that sentinels are made of: ±(1 + m/128)·2^e, without ±1."""
    significands = 1 + torch.arange(_SIGNIFICANDS, dtype=torch.float32) / _SIGNIFICANDS
    magnitudes = torch.cat([significands * 2.0**exponent for exponent in _EXPONENTS])
    magnitudes[magnitudes == 1] = 2.0**_EXPONENTS.stop
    return torch.stack([magnitudes, -magnitudes], dim=1).flatten()


def _digest(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big")


def codes(names: Mapping[str, Tensor]) -> dict[str, int]:
    """A different number below `CODES` for every name, as long as there are so few: hash, then the next free one."""
    taken: set[int] = set()
    result = {}
    for name in sorted(names):
        code = _digest(name) % CODES
        while code in taken and len(taken) < CODES:
            code = (code + 1) % CODES
        taken.add(code)
        result[name] = code
    return result


def sentinel(name: str, code: int, initial: Tensor) -> Tensor:
    """The sentinel of the tensor `name`: shape and dtype of `initial`, the constructor's value, on CPU.

    Neighbouring elements differ, so that a shifted or partly loaded tensor is seen. A bool has only two values: it
    becomes the opposite of what the constructor gave. Integers that differ may be indices: they change places, and stay
    in the range of what they point into.
    """
    if initial.dtype is torch.bool:
        return ~initial.detach().cpu()
    stride = 2 * (_digest(name) % 997) + 1
    index = (code + stride * torch.arange(initial.numel())) % CODES
    if initial.dtype.is_complex:
        values: Tensor = torch.complex(_table()[index], _table()[(index + 1) % CODES])
    elif initial.dtype.is_floating_point:
        values = _table()[index]
    else:
        moved = _moved(initial.detach().cpu().flatten(), code)
        values = 2 + index % (min(torch.iinfo(initial.dtype).max, CODES) - 2) if moved is None else moved
    return values.to(initial.dtype).reshape(initial.shape)


def _moved(flat: Tensor, code: int) -> Tensor | None:
    """The elements of a flat tensor in other places, by a distance that follows from `code`; None where all are alike."""
    distances = (1 + code % max(flat.numel() - 1, 1), 1)
    return next((moved for moved in map(flat.roll, distances) if not torch.equal(moved, flat)), None)


def sentinels(initial: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The sentinel of every tensor of a state dict, keyed as it is."""
    return {name: sentinel(name, code, initial[name]) for name, code in codes(initial).items()}

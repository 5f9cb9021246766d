"""Runs in a measured interpreter: makes the sentinels of seeded state dicts, and prints what is wrong with them as JSON."""

import json
import random
import sys
from itertools import combinations, permutations
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import torch
from torch import Tensor

from matrix.probe.checkpoint.sentinels import find_alike, sentinels

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
CHANGING = [(wide, narrow) for wide, narrow in permutations(FLOATS, 2) if FLOATS.index(wide) < FLOATS.index(narrow)]
"""Where the second has fewer significant bits."""


def make_state(seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Tensors of few shapes, so that many have the same, with names as models have them."""
    chance = random.Random(seed)
    shapes = [(), (1,), (3,), (2, 5), (64,)]
    names = (f"layers.{number}.{chance.choice(['weight', 'bias', 'norm.scale'])}" for number in range(200))
    return {name: torch.ones(chance.choice(shapes), dtype=dtype) for name in names}


def count_alike(values: dict[str, Tensor], dtype: torch.dtype) -> int:
    """How many pairs are alike once they are rounded to `dtype`."""
    rounded = [value.to(dtype) for value in values.values()]
    return sum(one.shape == other.shape and torch.equal(one, other) for one, other in combinations(rounded, 2))


def count_unchanged(values: dict[str, Tensor], dtype: torch.dtype) -> int:
    """How many elements a way through `dtype` and back leaves as they are."""
    return sum(int((value.to(dtype).to(value.dtype) == value).sum()) for value in values.values())


def main() -> None:
    made = {(seed, dtype): sentinels(make_state(seed, dtype)) for seed in range(3) for dtype in FLOATS}
    few = {f"{kind}.{number}": torch.ones((), dtype=dtype) for number in range(300) for kind, dtype in KINDS.items()}
    flag = torch.zeros((), dtype=torch.bool)
    known = {"a.flag": flag, "b.flag": flag, "lone": flag.reshape(1), **few}
    values = [value for one in made.values() for value in one.values()]
    told = {
        "alike": {
            str((seed, *pair)): count_alike(made[seed, pair[0]], pair[1]) for seed in range(3) for pair in CHANGING
        },
        "unchanged": {str(pair): count_unchanged(made[0, pair[0]], pair[1]) for pair in CHANGING},
        "special": sum(int(((value == 0) | (value.abs() == 1) | ~torch.isfinite(value)).sum()) for value in values),
        "complex": count_complex(),
        "named": find_alike(sentinels(known), known),
    }
    json.dump(told, sys.stdout)


KINDS = {"int8": torch.int8, "int64": torch.int64, "float32": torch.float32, "float8": torch.float8_e4m3fn}


def count_complex() -> int:
    """How many parts of complex sentinels a way through bf16 leaves as they are."""
    parts = {name: torch.view_as_real(value) for name, value in sentinels(make_state(0, torch.complex64)).items()}
    return count_unchanged(parts, torch.bfloat16) + count_alike(parts, torch.bfloat16)


if __name__ == "__main__":
    main()

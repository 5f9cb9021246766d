"""Runs in a measured interpreter: judges tensors, and prints what is said of each as JSON.

Stdin is a JSON list of pairs: the name of a tensor, and an expression for what is held in its place. Expressions see torch
as `t`, and each tensor that is right by its name.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import torch

from matrix.probe.checkpoint.judge import Reference, judge
from matrix.probe.checkpoint.sentinels import sentinels

INITIAL = {
    "weight": torch.ones(3, 4),
    "other": torch.ones(3, 4),
    "half": torch.ones(3, 4, dtype=torch.float16),
    "brain": torch.ones(3, 4, dtype=torch.bfloat16),
    "eighth": torch.ones(4).to(torch.float8_e4m3fn),
    "phase": torch.ones(4, dtype=torch.complex64),
    "count": torch.tensor(0),
    "flag": torch.zeros((), dtype=torch.bool),
}
COMPUTED = {
    "inverse": torch.tensor([0.1, 0.3, 0.001, 0.25]),
    "eight": torch.tensor(8.0),
    "far": torch.tensor([200.0, 1000.5]),
    "tiny": torch.tensor([1e-30, 2e-30]),
    "mask": torch.tensor([float("nan"), float("-inf"), 1.0]),
    "rotation": torch.tensor([0.1 + 0.3j, 0.7 - 0.2j]),
}
RIGHT = sentinels(INITIAL)
PLAIN = {"other": torch.cat([RIGHT["other"][:2], torch.full((1, 4), -1.0)])}
"""What a plain load gives of a tensor that it gets wrong."""
REFERENCE = Reference(RIGHT, INITIAL, COMPUTED, frozenset({"weight", "other"}), plain=PLAIN)


def main() -> None:
    known = {**RIGHT, **COMPUTED, "t": torch, "plain": PLAIN["other"]}
    held = [(name, eval(expression, {}, known)) for name, expression in json.load(sys.stdin)]  # noqa: S307
    json.dump([asdict(judge(name, actual, REFERENCE)) for name, actual in held], sys.stdout)


if __name__ == "__main__":
    main()

"""Asks about every architecture in processes of its own, so that one that ends its process ends no other."""

import contextlib
from collections.abc import Callable
from typing import Any

import torch

from matrix.model import Architecture
from matrix.probe.ranks.ipc import map_in_processes
from matrix.probe.tiny import recipes

Values = dict[str, Any]


def answer_each(question: Values, answer: Callable[[Values], Values], timeout: float, died: Values) -> list[Values]:
    """Returns the answers to a question about `architectures` in so many `processes`, sorted by id.

    `died` is the answer where a process ended early, or took longer than `timeout` seconds.
    """
    torch.set_num_threads(1)
    entries = question["architectures"]
    for entry in entries:
        with contextlib.suppress(Exception):
            recipes.find_class(Architecture(entry["id"], ""))
    answers = [
        found or {"id": entry["id"], **died}
        for entry, found in map_in_processes(entries, answer, question["processes"], timeout)
    ]
    return sorted(answers, key=lambda found: found["id"])

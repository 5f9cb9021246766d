"""What `save_pretrained` of the installed transformers writes of each tiny model: see `matrix.probe.discovery`.

The question is {"architectures": [{"id", "config"}, ...], "processes": n}, `config` being the tiny recipe's. The answer is
{"id", "tensors"} for each, sorted by id, as `matrix.saved_names` has them; with a "message" where nothing is saved.
"""

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from matrix.model import Architecture
from matrix.probe.checkpoint.fixture import read_checkpoint, save
from matrix.probe.exceptions import explain
from matrix.probe.ranks.ipc import map_in_processes
from matrix.probe.tiny import recipes

TIMEOUT = 60.0
"""Seconds that one model may take; the slowest takes three."""

Values = dict[str, Any]


def describe(entry: Values) -> Values:
    """Returns one answer."""
    try:
        model = recipes.build(Architecture(entry["id"], "", entry["config"]))
        with TemporaryDirectory() as folder:
            save(model, Path(folder))
            return {"id": entry["id"], "tensors": describe_tensors(read_checkpoint(Path(folder)))}
    except Exception as error:
        return {"id": entry["id"], "tensors": {}, "message": explain(error)}


def describe_tensors(tensors: dict[str, torch.Tensor]) -> dict[str, str]:
    """Returns the dtype and the shape of each."""
    return {
        name: " ".join([str(one.dtype).removeprefix("torch."), *map(str, one.shape)]) for name, one in tensors.items()
    }


def answer(question: Values) -> list[Values]:
    """Returns the answers, one for every architecture."""
    torch.set_num_threads(1)
    entries = question["architectures"]
    for entry in entries:
        with contextlib.suppress(Exception):
            recipes.find_class(Architecture(entry["id"], ""))
    died = f"its process ended early, or it took longer than {TIMEOUT:.0f} s"
    answers = [
        answer or {"id": entry["id"], "tensors": {}, "message": died}
        for entry, answer in map_in_processes(entries, describe, question["processes"], TIMEOUT)
    ]
    return sorted(answers, key=lambda answer: answer["id"])

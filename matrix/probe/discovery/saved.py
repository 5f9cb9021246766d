"""What `save_pretrained` of the installed transformers writes of each tiny model: see `matrix.probe.discovery`.

The question is {"architectures": [{"id", "config"}, ...], "processes": n}, `config` being the tiny recipe's. The answer is
{"id", "tensors"} for each, sorted by id, as `matrix.saved_names` has them; with a "message" where nothing is saved.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from matrix.model import Architecture
from matrix.probe.checkpoint.fixture import read_checkpoint, save
from matrix.probe.discovery.each import Values, answer_each
from matrix.probe.exceptions import explain
from matrix.probe.tiny import recipes

TIMEOUT = 60.0
"""Seconds that one model may take; the slowest takes three."""


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
    died = f"its process ended early, or it took longer than {TIMEOUT:.0f} s"
    return answer_each(question, describe, TIMEOUT, {"tensors": {}, "message": died})

"""What is given for the names that older releases saved."""

import json
import subprocess
from pathlib import Path

import pytest

from matrix.process.run import ROOT

pytestmark = pytest.mark.measured

CODE = """
import json, sys
from pathlib import Path
import torch
from matrix.model import Architecture
from matrix.probe.trials.checkpoints import PlainCheckpoints

model = torch.nn.Module()
model.embed, model.head, model.layers = (torch.nn.Module() for _ in range(3))
model.embed.weight = model.head.weight = torch.nn.Parameter(torch.zeros(2, 3))
model.embed.register_buffer("inv_freq", torch.zeros(4))
model.layers.a, model.layers.b = torch.nn.Module(), torch.nn.Module()
for layer in (model.layers.a, model.layers.b):
    layer.norm = torch.nn.LayerNorm(3)
checkpoints = PlainCheckpoints(model, Architecture("m:M", ""), Path(), "layouts")
values = checkpoints.give_values(json.loads(sys.argv[1]))
print(json.dumps({name: value.flatten()[:3].tolist() for name, value in values.items()}))
"""


def give(interpreter: Path, names: dict[str, str]) -> dict[str, list[float]]:
    command = [str(interpreter), "-c", CODE, json.dumps(names)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT)
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def test_what_is_one_tensor_in_the_model_gets_the_same_values(newest: Path) -> None:
    norms = {"old.a.norm.weight": "float32 3", "old.b.norm.weight": "float32 3"}
    rope = {"old.a.embed.inv_freq": "float32 4", "old.b.embed.inv_freq": "float32 4"}
    found = give(newest, {"old.embed.weight": "float32 2 3", "old.head.weight": "float32 2 3", **norms, **rope})
    assert found["old.embed.weight"] == found["old.head.weight"]
    assert found["old.a.embed.inv_freq"] == found["old.b.embed.inv_freq"]
    assert found["old.a.norm.weight"] != found["old.b.norm.weight"]


def test_of_one_tensor_in_two_shapes_only_the_first_is_given(newest: Path) -> None:
    assert {*give(newest, {"old.embed.weight": "float32 2 3", "old.head.weight": "float32 4 3"})} == {
        "old.embed.weight"
    }

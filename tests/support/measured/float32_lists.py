"""Runs in a measured interpreter: what the lists of some models name, and what a plain load in float16 keeps in float32.

`python tests/support/measured/float32_lists.py ID...` prints {id: [sites of what is named, its names, names in float32]} as JSON.
Names are those of floating-point tensors in the state dict.
"""

import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[3]))

from matrix.probe.startup import VARIABLES, claim_stdout

os.environ.update(VARIABLES)

import torch

from matrix.model import Architecture
from matrix.probe import compat
from matrix.probe.tiny import recipes
from matrix.probe.tiny.buffer_sites import float32_sites


def compare(name: str) -> list[list[str]]:
    """Returns what the lists of the model name, by site and by name, and what stays in float32."""
    model = recipes.build(Architecture(name, ""))
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        loaded = type(model).from_pretrained(folder, torch_dtype=torch.float16)
    held = {key: tensor.dtype for key, tensor in loaded.state_dict().items() if tensor.is_floating_point()}
    listed = compat.find_kept_in_float32(model)
    named = [key for key in held if listed and listed.search(key)]
    return [float32_sites(model), sorted(named), sorted(key for key in held if held[key] is torch.float32)]


records = claim_stdout()
records.write(json.dumps({name: compare(name) for name in sys.argv[1:]}))

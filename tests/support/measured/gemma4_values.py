"""Runs in a measured interpreter: the values of the upstream test of #45402, on two ranks rather than one.

`python tests/support/measured/gemma4_values.py` prints {loader: [values of rank 0, values of rank 1]} as JSON, values being the sorted
distinct ones of every buffer of that name.
"""

import json
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from matrix.probe.startup import VARIABLES, claim_stdout

os.environ.update(VARIABLES)

import torch

from matrix.catalog.catalog import load_catalog
from matrix.job import Job
from matrix.model import Device, Loader
from matrix.probe import compat
from matrix.probe.checks.loaders import use_loader
from matrix.probe.ranks import rank as worker
from matrix.probe.ranks import zygote
from matrix.probe.ranks.ipc import Channel, fork
from matrix.probe.tiny import recipes

GEMMA4 = next(a for a in load_catalog() if a.id == "gemma4:Gemma4ForConditionalGeneration")
VALUES = {"input_max": 42.0, "output_min": -42.0, "layer_scalar": 0.5}


def buffers(model: Any, name: str) -> list[Any]:
    return [buffer for full, buffer in model.named_buffers() if full.rpartition(".")[2] == name]


def rank(number: int, root: Path, channel: Channel) -> None:
    worker.become(number, 2, Device.CPU)
    worker.join(Device.CPU, f"file://{root}/meeting?rank={number}&world_size=2")
    for which in Loader:
        with compat.zero3_config(compat.ZERO3), use_loader(which):
            model = recipes.find_class(GEMMA4).from_pretrained(root / "checkpoint")
        seen = {name: sorted({float(buffer) for buffer in buffers(model, name)}) for name in VALUES}
        channel.send({which: seen})


def main() -> None:
    out = claim_stdout()
    zygote.warm_up(Job((GEMMA4,), (), Device.CPU))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        model = recipes.build(GEMMA4)
        for name, value in VALUES.items():
            for buffer in buffers(model, name):
                torch.nn.init.constant_(buffer, value)
        model.save_pretrained(root / "checkpoint")
        children = [fork(partial(rank, number, root)) for number in range(2)]
        told = [list(child.channel) for child in children]
    answer = {which: [messages[index][which] for messages in told] for index, which in enumerate(Loader)}
    out.write(json.dumps(answer))
    out.close()


if __name__ == "__main__":
    main()

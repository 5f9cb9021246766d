"""Runs in a measured interpreter: what `from_pretrained` says of checkpoints that do not fit, plainly and under ZeRO-3.

`python tests/support/measured/loading_reports.py` prints {"limits": ..., "plain": {checkpoint: report}, "ranks": [...]} as JSON.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from matrix.probe.startup import VARIABLES, claim_stdout

os.environ.update(VARIABLES)

import torch
import transformers
from safetensors.torch import load_file, save_file

from matrix.model import Device
from matrix.probe import compat
from matrix.probe.loading_report import listening
from matrix.probe.ranks.rank import become, join

LOST = "model.encoder.layers.0.ff.0.weight"
BUFFER = "model.encoder.layers.0.norm_sublayer1.batchnorm.running_mean"
CHECKPOINTS = ("saved", "unexpected", "missing", "mismatched", "ignored")
"""The last two are the same: one of a wrong shape, which raises, unless it is to be ignored."""
PARTS = ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")


def write_checkpoints(folder: Path) -> None:
    config = transformers.PatchTSTConfig(
        num_input_channels=2,
        context_length=16,
        patch_length=4,
        patch_stride=4,
        norm_type="batchnorm",
        d_model=16,
        ffn_dim=16,
    )
    config.num_hidden_layers, config.num_attention_heads = 1, 2
    transformers.PatchTSTForPrediction(config).save_pretrained(folder / "saved")
    saved = load_file(folder / "saved/model.safetensors")
    tensors = {
        "unexpected": {**saved, "extra.weight": torch.ones(3)},
        "missing": {name: tensor for name, tensor in saved.items() if name not in (LOST, BUFFER)},
        "mismatched": {**saved, LOST: torch.ones(3, 5)},
        "ignored": {**saved, LOST: torch.ones(3, 5)},
    }
    for name, kept in tensors.items():
        config.save_pretrained(folder / name)
        save_file(kept, folder / name / "model.safetensors", metadata={"format": "pt"})


def load(folder: Path) -> dict[str, Any]:
    """What the loader says, as names; `heard` is what the probe makes of it."""
    try:
        with listening() as heard:
            _, info = transformers.PatchTSTForPrediction.from_pretrained(
                folder, output_loading_info=True, ignore_mismatched_sizes=folder.name == "ignored"
            )
    except RuntimeError as error:
        return {"raised": str(error)}
    named = {part: sorted(entry if isinstance(entry, str) else entry[0] for entry in info[part]) for part in PARTS}
    return {**named, "heard": vars(heard.report)}


def load_all(folder: Path) -> dict[str, Any]:
    return {name: load(folder / name) for name in CHECKPOINTS}


def run_rank(rank: int, folder: Path) -> None:
    become(rank, 2, Device.CPU)
    join(Device.CPU, f"file://{folder}/meeting?rank={rank}&world_size=2")
    with compat.zero3_config(compat.ZERO3):
        (folder / f"{rank}.json").write_text(json.dumps(load_all(folder)))


def main() -> None:
    out = claim_stdout()
    compat.preload()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_checkpoints(folder)
        plain, children = load_all(folder), []
        for rank in range(2):
            if not (child := os.fork()):
                run_rank(rank, folder)
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        ranks = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]
    out.write(json.dumps({"limits": compat.find_report_limits(), "plain": plain, "ranks": ranks}))
    out.close()


if __name__ == "__main__":
    main()

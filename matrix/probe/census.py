"""`python -m matrix.probe.census`: how each architecture becomes tiny, and whether that keeps every buffer site.

Reads {"architectures": [{"id", "config", "seed"}, ...], "processes": n} from stdin, `config` being what its default
configuration lacks and `seed` what made it tiny elsewhere. Prints one JSON object per line for each, sorted by id.
"""

import contextlib
import json
import os
import sys
from typing import Any

from matrix.probe.quiet import QUIET

os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})  # before torch is imported

import torch
from transformers.utils import logging

from matrix.model import Architecture
from matrix.probe import recipes, search
from matrix.probe.channel import each
from matrix.probe.failures import explain
from matrix.probe.sites import buffer_sites

TIMEOUT = 300.0
"""Seconds that the search for a tiny configuration may take; the longest takes about twenty."""

MOST_PARAMETERS = 8_000_000
"""More than that is not tiny."""

Values = dict[str, Any]


def census(entry: Values) -> Values:
    """One object of the output: `status` is ok, unsupported or error, the latter two with a `message`."""
    try:
        return {"id": entry["id"], "status": "ok", **measured(entry)}
    except recipes.UnsupportedError as error:
        return {"id": entry["id"], "status": "unsupported", "message": str(error)}
    except Exception as error:
        return {"id": entry["id"], "status": "error", "message": explain(error)}


def measured(entry: Values) -> Values:
    """The tiny model, built for real: its configuration, what of the full-size model's sites it lacks, and its numels."""
    cls = recipes.model_class(Architecture(entry["id"], ""))
    recipe = search.settle(cls, entry.get("config", {}), entry.get("seed"))
    if recipe.parameters > MOST_PARAMETERS:
        raise ValueError(f"it cannot be made smaller than {recipe.parameters:,} parameters")
    model = recipes.build(Architecture(entry["id"], "", recipe.config))
    parameters = [parameter.numel() for parameter in model.parameters()]
    own = {name for name, _ in model.named_buffers(remove_duplicate=False)}
    state = {name: tensor for name, tensor in model.state_dict().items() if name in own}
    return {
        "config": recipe.config,
        "sites": recipe.sites,
        "missing": sorted(recipe.sites.keys() - buffer_sites(model).keys()),
        "parameters": sum(parameters),
        "odd_parameters": sum(numel % 2 for numel in parameters),
        "buffers": {name: tensor.numel() for name, tensor in state.items()},
    }


def main() -> None:
    """Answer for every architecture on stdin."""
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    asked = json.load(sys.stdin)
    entries = asked["architectures"]
    died = f"the search ended its process, or took longer than {TIMEOUT:.0f} s"
    with contextlib.redirect_stdout(sys.stderr):  # some releases print while they import a model
        for entry in entries:
            with contextlib.suppress(Exception):
                recipes.model_class(Architecture(entry["id"], ""))
        answers = [
            answer or {"id": entry["id"], "status": "error", "message": died}
            for entry, answer in each(entries, census, asked["processes"], TIMEOUT)
        ]
    for answer in sorted(answers, key=lambda answer: answer["id"]):
        sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()

"""`python -m matrix.probe.census`: what each tiny model is, and whether it bears every buffer of the full-size one.

Reads a JSON list of {"id", "family", "config"} from stdin and prints one JSON object per line for each, in order.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel
from transformers.utils import logging

from matrix.model import Architecture
from matrix.probe.recipes import UnsupportedError, build, full_config, model_class


class LinspaceOnCpu(TorchFunctionMode):
    """Keeps torch.linspace real under the meta device: models of 4.x read its items in their constructors."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call `func` as asked, torch.linspace on the CPU."""
        given = dict(kwargs or {})
        return func(*args, **({**given, "device": "cpu"} if func is torch.linspace else given))


def buffer_sites(model: PreTrainedModel) -> list[str]:
    """Where `model` has persistent buffers, as "ModuleClass.name", sorted."""
    return sorted(
        {
            f"{type(module).__name__}.{name}"
            for module in model.modules()
            for name, _ in module.named_buffers(recurse=False)
            if name not in module._non_persistent_buffers_set
        }
    )


def full_sites(architecture: Architecture) -> list[str]:
    """The buffer sites of the full-size model, built without its memory. Raises what its constructor raises."""
    config = full_config(architecture)
    with torch.device("meta"), LinspaceOnCpu():
        return buffer_sites(model_class(architecture)(config))


def measure(architecture: Architecture) -> dict[str, Any]:
    """The tiny model: seconds to build it, numels of its parameters, and of its persistent buffers by name."""
    model_class(architecture)  # importing its module is not part of building it
    started = time.perf_counter()
    model = build(architecture)
    seconds = round(time.perf_counter() - started, 3)
    parameters = dict(model.named_parameters())
    numels = {name: tensor.numel() for name, tensor in model.state_dict().items() if isinstance(tensor, torch.Tensor)}
    own = {name for name, _ in model.named_buffers(remove_duplicate=False)}
    return {
        "seconds": seconds,
        "parameters": sum(parameter.numel() for parameter in parameters.values()),
        "odd_parameters": sum(parameter.numel() % 2 for parameter in parameters.values()),
        "buffers": {name: numel for name, numel in numels.items() if name in own},
        "sites": buffer_sites(model),
    }


def compare(architecture: Architecture, sites: list[str]) -> dict[str, Any]:
    """The sites of the full-size model, and which of them are not in `sites`; or why it cannot be built."""
    try:
        full = full_sites(architecture)
    except Exception as error:
        return {"full_sites": None, "missing": None, "full_error": explain(error)}
    return {"full_sites": full, "missing": sorted(set(full) - set(sites))}


def explain(error: Exception) -> str:
    """The type and the message of `error` on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def census(architecture: Architecture) -> dict[str, Any]:
    """One object of the output: `status` is ok, unsupported or error, the latter two with a `message`."""
    try:
        measured = measure(architecture)
    except UnsupportedError as error:
        return {"id": architecture.id, "status": "unsupported", "message": str(error)}
    except Exception as error:
        return {"id": architecture.id, "status": "error", "message": explain(error)}
    return {"id": architecture.id, "status": "ok", **measured, **compare(architecture, measured["sites"])}


def architecture_of(entry: Mapping[str, Any]) -> Architecture:
    """The architecture that one element of the input describes."""
    return Architecture(entry["id"], entry["family"], entry.get("config", {}))


def main() -> None:
    """Answer for every architecture on stdin."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    for entry in json.load(sys.stdin):
        with contextlib.redirect_stdout(sys.stderr):  # some releases print while they import a model
            line = json.dumps(census(architecture_of(entry)))
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

"""Finds where models have persistent buffers, and what they keep in float32. Models are built without memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel

from matrix.probe import compat


def _linspace_on_cpu(*arguments: Any, **options: Any) -> torch.Tensor:
    return _LINSPACE(*arguments, **{**options, "device": "cpu"})


_LINSPACE = torch.linspace


@contextmanager
def without_memory() -> Iterator[None]:
    """Models are built without values, initialised by nobody, for as long as the context lasts.

    torch.linspace stays real: models of 4.x read its items in their constructors.
    """
    torch.linspace = _linspace_on_cpu
    try:
        with torch.device("meta"), compat.no_init_weights():
            yield
    finally:
        torch.linspace = _LINSPACE


def build_on_meta(cls: type[PreTrainedModel], config: PretrainedConfig) -> PreTrainedModel:
    """Builds the model of `cls` and `config` without memory, full-size or not. Raises what its constructor raises."""
    with without_memory():
        return cls(config)


def buffer_sites(model: torch.nn.Module) -> dict[str, str]:
    """Returns the dtype of each persistent buffer of `model`, keyed by "ModuleClass.name" and sorted."""
    found = {
        f"{type(module).__name__}.{name}": str(buffer.dtype).removeprefix("torch.")
        for module in model.modules()
        for name, buffer in module._buffers.items()
        # Not from the state dict: a model's hooks may rename or drop what is in it.
        if buffer is not None and name not in module._non_persistent_buffers_set
    }
    return dict(sorted(found.items()))


def float32_sites(model: torch.nn.Module) -> list[str]:
    """Returns the tensors that the lists of this release keep in float32, as "ModuleClass.name", sorted."""
    kept = compat.find_kept_in_float32(model)
    if kept is None:
        return []
    found = {
        f"{type(module).__name__}.{name}"
        for path, module in model.named_modules(remove_duplicate=False)
        for name, tensor in (*module._parameters.items(), *module._buffers.items())
        if tensor is not None and kept.search(f"{path}.{name}" if path else name)
    }
    return sorted(found)

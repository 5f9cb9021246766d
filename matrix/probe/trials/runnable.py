"""Models whose `forward` can run: some tiny ones have sizes that do not fit each other, which no load ever needs."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import torch
from transformers import PretrainedConfig

from matrix.model import Architecture
from matrix.probe.checkpoint.fixture import Model
from matrix.probe.tiny import buffer_sites, recipes, user_model

MOST_PARAMETERS: Final = 40_000_000
"""More than that takes too long to train: what has only few layers less than its default may have so many."""
_DEPTHS: Final = re.compile("layer|depth|block|vocab|num_stages|stage_numb")
"""Names of sizes that say how much there is of something, not how wide it is."""


def _keep_depths(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those of `sizes` that make a model less deep, inside configurations too, and types."""
    inner = {name: _keep_depths(value) if isinstance(value, Mapping) else value for name, value in sizes.items()}
    return {
        name: value
        for name, value in inner.items()
        if isinstance(value, Mapping) or name == "model_type" or _DEPTHS.search(name)
    }


def _keep_heads(full: PretrainedConfig, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `sizes` with few heads of their full width: sections of positions are stated for that."""
    kept = dict(sizes)
    for name, value in sizes.items():
        inner = recipes.read_value(full, name, None)
        if isinstance(value, Mapping) and isinstance(inner, PretrainedConfig):
            kept[name] = _keep_heads(inner, value)
    width, heads = (recipes.read_value(full, name, None) for name in ("hidden_size", "num_attention_heads"))
    if isinstance(width, int) and isinstance(heads, int) and "num_attention_heads" in sizes:
        each = recipes.read_value(full, "head_dim", None) or width // heads
        kept |= {"hidden_size": sizes["num_attention_heads"] * each, "head_dim": each}
    return {
        name: value for name, value in kept.items() if name != "head_dim" or "head_dim" in recipes.read_arguments(full)
    }


def _list_configurations(architecture: Architecture, tiny: Model) -> Iterator[PretrainedConfig]:
    yield tiny.config
    if architecture.source:
        full = user_model.make_full_config(architecture.source)
        values = user_model.read_values(architecture.source)
        for sizes in _list_sizes(full):
            yield type(full).from_dict(recipes.replace_sizes(full, values, sizes))
        return
    for given in (architecture.config, {}):
        full = recipes.make_full_config(type(tiny), given)
        for sizes in _list_sizes(full):
            with suppress(Exception):
                yield recipes.make_config(type(full), recipes.merge(sizes, recipes.add_backbone_arguments(given)))


def _list_sizes(full: PretrainedConfig) -> tuple[Mapping[str, Any], ...]:
    sizes = recipes.shrink(full)
    return sizes, _keep_heads(full, sizes), _keep_depths(sizes)


def list_models(architecture: Architecture, tiny: Model) -> Iterator[Model]:
    """Yields new models of an architecture: the measured one, one with the width of its heads, one with all its widths."""
    tried: list[str] = []
    with suppress(Exception):  # sizes that do not fit each other
        for config in _list_configurations(architecture, tiny):
            if (text := config.to_json_string(use_diff=False)) not in tried:
                tried.append(text)
                with suppress(Exception):
                    yield _build(type(tiny), config)


def _build(cls: Any, config: PretrainedConfig) -> Model:
    """Builds a model, the same in every call. Raises ValueError where that is large, and what its constructor raises."""
    on_meta = buffer_sites.build_on_meta(cls, config)
    if sum(one.numel() for one in on_meta.parameters()) > MOST_PARAMETERS:
        raise ValueError("too many parameters")
    torch.manual_seed(0)
    return cls(config).eval()

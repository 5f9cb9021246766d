"""Inputs for the `forward` of a model, made from its signature and its configuration. Weights are not looked at."""

import inspect
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import PretrainedConfig

from matrix.probe.checkpoint.fixture import Model
from matrix.probe.trials.shapes import SHAPES, Shape, find_sizes

Inputs = dict[str, Tensor]


def list_arguments(model: Model) -> dict[str, bool]:
    """Returns the arguments of the model's `forward`, and whether each is required."""
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    parameters = inspect.signature(model.forward).parameters.values()
    return {one.name: one.default is inspect.Parameter.empty for one in parameters if one.kind not in kinds}


def make_candidates(model: Model) -> Iterator[Inputs]:
    """Yields inputs to try, those that reach most of the model first. Raises nothing."""
    arguments = list_arguments(model)
    required = {name for name, needed in arguments.items() if needed}
    main = {str(getattr(model, "main_input_name", ""))} & {*arguments}
    known = {name for name in arguments if name in SHAPES}
    tried: list[set[str]] = []
    texts = {name for name in known if name.endswith("ids") or name == "bbox"}
    for names in (
        known,
        known - {"pixel_values_videos"},
        required | main,
        required | texts,
        required | {"input_ids"} & known,
        known - texts,
    ):
        if names and required <= names <= {*SHAPES} and names not in tried:
            tried.append(names)
            yield from _make_all(model.config, sorted(names))


def _make_all(config: PretrainedConfig, names: Sequence[str]) -> Iterator[Inputs]:
    shapes = {name: SHAPES[name](config) for name in names}
    for number in range(max(map(len, shapes.values()))):
        chosen = {name: each[min(number, len(each) - 1)] for name, each in shapes.items()}
        yield {name: _make(config, name, shape) for name, shape in chosen.items()}


def _make(config: PretrainedConfig, name: str, shape: Shape) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    if name.endswith("mask") or name == "is_longer":
        return torch.ones(shape, dtype=torch.bool if name == "is_longer" else None)
    if name == "bbox":
        return torch.rand(shape, generator=generator).sort().values
    if name.endswith("ids") or name == "task_inputs":
        known = find_sizes(config, "vocab_size input_vocab_size text_encoder_vocab_size", 64)
        return torch.randint(min(3, min(known) - 1), min(known), shape, generator=generator)
    return torch.randn(shape, generator=generator)

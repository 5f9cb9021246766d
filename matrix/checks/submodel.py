"""Loads the checkpoint of a whole model into one of its parts, and that of a part into the whole."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matrix.check_protocol import CheckDescription, Checkpoints, CheckWords, NotApplicableError, Trial, Way


def prepare(checkpoints: Checkpoints) -> Sequence[Way]:
    """Finds the base model and the towers, and saves the base model by itself."""
    model = checkpoints.model
    ways = [Way(f"the whole checkpoint into {name}", class_name=name) for name in find_parts(model)]
    base = getattr(model, model.base_model_prefix or "-", None)
    if hasattr(base, "save_pretrained"):
        ways.append(Way("the base checkpoint into the whole model", _save_base(checkpoints, base)))
    if not ways:
        raise NotApplicableError("the model has no part that is a model by itself")
    return ways


def find_parts(model: Any) -> list[str]:
    """Returns the classes of the models inside `model`, of the same family, each once."""
    return list(dict.fromkeys(_part_names(model)))


def _part_names(model: Any) -> Iterator[str]:
    family = type(model).__module__
    for part in model.modules():
        kind = type(part)
        is_model = hasattr(part, "save_pretrained") and isinstance(getattr(kind, "config_class", None), type)
        if part is not model and is_model and kind.__module__ == family:
            yield kind.__name__


def _save_base(checkpoints: Checkpoints, base: Any) -> Path:
    folder = checkpoints.folder("base")
    checkpoints.save(base, folder)
    # The configuration of the base may be that of a part; what is loaded is the whole model.
    checkpoints.save_config(checkpoints.model.config, folder)
    return folder


CHECK = CheckDescription(
    words=CheckWords(
        verb="load",
        doing="loading a part, or into one",
        call="from_pretrained, of a part or into one",
        meaning="a whole checkpoint is loaded into the base model and the towers, and a base checkpoint into the whole model",
    ),
    trial=Trial(prepare),
)

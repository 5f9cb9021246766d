"""The model classes of the installed transformers: exported or not, with or without an auto class."""

import functools
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import transformers
import transformers.models
from transformers import PreTrainedModel

_OTHER_FRAMEWORKS = ("modeling_tf_", "modeling_flax_")
_CLASS = re.compile(r"^class (\w+)\b", re.MULTILINE)


def model_modules() -> tuple[str, ...]:
    """Returns the names of the modules that define models in torch, in the order of their folders. Imports none."""
    found: dict[str, None] = {}
    for root in map(Path, transformers.models.__path__):
        for file in sorted(root.rglob("modeling_*.py")):
            if not file.name.startswith(_OTHER_FRAMEWORKS):
                found.setdefault(".".join(("transformers.models", *file.relative_to(root).with_suffix("").parts)))
    return tuple(found)


def source(module: str) -> Path:
    """Returns the file of a module that `model_modules` names."""
    inside = Path(*module.split(".")[2:]).with_suffix(".py")
    files = [Path(root, inside) for root in transformers.models.__path__]
    return next((file for file in files if file.exists()), files[0])


def written_classes(file: Path) -> list[str]:
    """Returns the names of the classes in a source file, in its order."""
    return _CLASS.findall(file.read_text(encoding="utf-8"))


def defined(module: ModuleType) -> Iterator[type[PreTrainedModel]]:
    """Yields the models that `module` defines itself, in its order."""
    for value in list(vars(module).values()):
        if isinstance(value, type) and issubclass(value, PreTrainedModel) and value.__module__ == module.__name__:
            yield value


@functools.cache
def _places() -> dict[str, str]:
    """Returns the module of each class in the models' sources; of two classes of one name the first."""
    found: dict[str, str] = {}
    for name in model_modules():
        for written in written_classes(source(name)):
            found.setdefault(written, name)
    return found


def find(name: str) -> Any:
    """Finds the class of that name, or a placeholder that says what it needs; None where this transformers has neither.

    Raises what the import of its module raises.
    """
    exported = getattr(transformers, name, None)
    if exported is None and name in _places():
        return getattr(importlib.import_module(_places()[name]), name, None)
    return exported


def model_type(cls: type[PreTrainedModel]) -> str:
    """Returns the `model_type` of its configuration; where that has none, the folder that the class is written in."""
    return getattr(cls.config_class, "model_type", "") or cls.__module__.split(".")[-2]


def is_part(cls: type[PreTrainedModel]) -> bool:
    """Returns whether the class is not a model by itself: a base class, or one that needs more than a configuration."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[2:]
    more = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return bool(more) or not isinstance(cls.config_class, type)

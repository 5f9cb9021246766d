"""Finds what `check TARGET` names: a configuration file, read as JSON and never run, a class, or a model type."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from matrix.errors import NoConfigError, NoSuchTargetError, NotAConfigError, PickleTargetError
from matrix.model import Architecture, Source

PICKLES: Final = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})
_NAME: Final = re.compile(r"[\w.-]+(:\w+)?")
_LONGEST_LABEL: Final = 40


def find_catalogued(target: str, catalog: Sequence[Architecture]) -> tuple[Architecture, ...]:
    """Returns the architectures of the catalog whose id or model type is exactly `target`; none for a model's folder."""
    if (Path(target) / "config.json").is_file():
        return ()
    return tuple(architecture for architecture in catalog if target in (architecture.id, architecture.model_type))


def find_source(target: str, *, trusted: bool = False, full: bool = False) -> Source:
    """Returns where the model that `target` names comes from; code in its folder is only run where that is `trusted`.

    Reads at most one JSON file. Raises the errors on targets of `matrix.errors`.
    """
    path = Path(target).expanduser()
    if path.suffix in PICKLES:
        raise PickleTargetError(path)
    if path.is_dir() and not (path / "config.json").is_file():
        raise NoConfigError(path)
    if path.exists():
        return _in_a_file(path / "config.json" if path.is_dir() else path, trusted=trusted, full=full)
    if not _NAME.fullmatch(target) or target.endswith(".json"):
        raise NoSuchTargetError(target)
    return Source(name=target, paths=_module_folders(), full=full)


def _in_a_file(file: Path, *, trusted: bool, full: bool) -> Source:
    folder = file.resolve().parent
    label = re.sub(r"[^A-Za-z0-9_.-]+", "_", folder.name)[:_LONGEST_LABEL]
    return Source(config=_config(file), folder=str(folder) if trusted else "", label=label, full=full)


def _module_folders() -> tuple[str, ...]:
    """Returns the folders where the user's shell would find a module: this one, and those of PYTHONPATH."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return tuple(str(Path(folder).absolute()) for folder in ("", *filter(None, named)))


def _special_float(values: dict[str, Any]) -> Any:
    """Converts NaN and infinities, which transformers 5 writes as tables."""
    return float(str(values["__float__"])) if values.keys() == {"__float__"} else values


def _config(file: Path) -> dict[str, Any]:
    if file.suffix == ".py":
        raise NotAConfigError(file, f"it is a module: name a class of it, {file.stem}:ClassName, from its folder")
    try:
        values = json.loads(file.read_text(encoding="utf-8"), object_hook=_special_float)
    except OSError as error:
        raise NotAConfigError(file, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise NotAConfigError(file, f"it is not JSON ({error})") from error
    if not isinstance(values, dict):
        raise NotAConfigError(file, "it is JSON, but not an object")
    if not isinstance(values.get("model_type"), str) and "auto_map" not in values:
        raise NotAConfigError(file, "it names no model_type, which every config.json that save_pretrained writes does")
    return values

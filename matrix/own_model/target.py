"""Finds what `check TARGET` names: a configuration file, here or in a hub, a class, or a model type; nothing is run."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from matrix.errors import ConflictingOptionsError, NoConfigError, NoSuchTargetError, PickleTargetError, RemoteCodeError
from matrix.model import Architecture, Source
from matrix.own_model.config_file import parse_config, read_config
from matrix.own_model.hub import fetch_config, is_repository
from matrix.own_model.weight_index import require_files

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

    Reads one JSON file, and the index of a checkpoint next to it; from a hub where there is no such path. Raises the
    errors on targets of `matrix.errors`, and what `matrix.own_model.hub.fetch_config` raises.
    """
    path = Path(target).expanduser()
    if path.suffix in PICKLES:
        raise PickleTargetError(path)
    if path.is_dir() and not (path / "config.json").is_file():
        raise NoConfigError(path)
    if path.is_dir():
        require_files(path)
    if path.exists():
        return _in_a_file(path / "config.json" if path.is_dir() else path, trusted=trusted, full=full)
    if is_repository(target):
        return _in_a_hub(target, trusted=trusted, full=full)
    if not _NAME.fullmatch(target) or target.endswith(".json"):
        raise NoSuchTargetError(target)
    return Source(name=target, paths=_module_folders(), full=full)


def add_class(source: Source, name: str) -> Source:
    """Returns `source` as a model of the class `name`, `module:ClassName`. Raises ConflictingOptionsError where it has no configuration."""
    if not source.config:
        raise ConflictingOptionsError(source.name, "--class", "a class takes the configuration of a checkpoint")
    return replace(source, name=name, paths=_module_folders())


def has_adapter(target: str) -> bool:
    """Returns whether the folder that `target` names, or in which it is, has an adapter of peft."""
    path = Path(target).expanduser()
    folder = path if path.is_dir() else path.parent
    return path.exists() and (folder / "adapter_config.json").is_file()


def _in_a_file(file: Path, *, trusted: bool, full: bool) -> Source:
    folder = file.resolve().parent
    return Source(config=read_config(file), folder=str(folder) if trusted else "", label=_label(folder.name), full=full)


def _in_a_hub(repository: str, *, trusted: bool, full: bool) -> Source:
    config = parse_config(fetch_config(repository), f"config.json of {repository}")
    if trusted and config.get("auto_map"):
        raise RemoteCodeError(repository)
    return Source(config=config, label=_label(repository.partition("/")[2]), full=full)


def _label(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:_LONGEST_LABEL]


def _module_folders() -> tuple[str, ...]:
    """Returns the folders where the user's shell would find a module: this one, and those of PYTHONPATH."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return tuple(str(Path(folder).absolute()) for folder in ("", *filter(None, named)))

"""The catalog: which architectures are measured. Most are in the lock that was generated, the rest in catalog.toml."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tomllib

from matrix.catalog.families import FAMILIES
from matrix.catalog.lockfile import PATH as LOCK_PATH
from matrix.catalog.lockfile import read_lock
from matrix.errors import DataFileError
from matrix.model import ARCHITECTURE_ID, Architecture

PATH = Path(__file__).parents[1] / "catalog.toml"
LOCK = LOCK_PATH


def load_catalog(path: Path = PATH, lock: Path = LOCK, transformers: str = "") -> tuple[Architecture, ...]:
    """Returns the architectures of the catalog, sorted in their families; recipes are those of a version of transformers.

    Raises DataFileError with everything that is wrong with a file, a line each.
    """
    discovered = [locked.architecture(transformers) for locked in read_lock(lock).architectures]
    added = [Architecture(name, entry["family"], entry.get("config", {})) for name, entry in read_added(path).items()]
    names = {architecture.id for architecture in added}
    order = list(FAMILIES)
    every = [*added, *(one for one in discovered if one.id not in names)]
    return tuple(sorted(every, key=lambda one: (order.index(one.family), one.id)))


def select_recipes(transformers: str, names: Iterable[str]) -> tuple[Architecture, ...]:
    """Returns the recipes of these architectures for a version of transformers, in their order.

    One that the catalog does not have is made tiny by the rules alone.
    """
    known = {one.id: one for one in load_catalog(transformers=transformers)}
    return tuple(known.get(name, Architecture(name, "other")) for name in names)


def catalog_hash(*paths: Path) -> str:
    """Returns the SHA-256 of the bytes of the files, as "sha256:" and 64 hexadecimal digits."""
    content = b"".join(path.read_bytes() for path in paths or (PATH, LOCK))
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def read_added(path: Path = PATH) -> Mapping[str, Any]:
    """Returns the entries of [architectures] in `path`; raises DataFileError."""
    return dict(_document(path).get("architectures", {}))


def read_popular(path: Path = PATH) -> tuple[str, ...]:
    """Returns the ids of the popular architectures in `path`, in its order; raises DataFileError."""
    return tuple(_document(path).get("popular", ()))


def read_config_exceptions(path: Path = PATH) -> Mapping[str, Mapping[str, Any]]:
    """Returns what `path` changes in the default configurations of model types; raises DataFileError."""
    return dict(_document(path).get("configs", {}))


def _document(path: Path) -> Mapping[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise DataFileError(path, [str(error)]) from error
    if problems := list(_problems(document)):
        raise DataFileError(path, problems)
    return document


def _problems(document: Mapping[str, Any]) -> Iterator[str]:
    tables = {name: document.get(name, {}) for name in ("architectures", "configs")}
    if document.keys() - {*tables, "popular"} or not all(isinstance(table, dict) for table in tables.values()):
        yield f"expected tables [architectures] and [configs], found {', '.join(sorted(document)) or 'nothing'}"
        return
    yield from _popular_problems(document.get("popular", []))
    for name, entry in tables["architectures"].items():
        yield from (f"{name}: {problem}" for problem in _entry_problems(name, entry))
    for name, config in tables["configs"].items():
        if not isinstance(config, dict) or not config:
            yield f"{name}: must be a table of configuration values"


def _popular_problems(names: Any) -> Iterator[str]:
    ids = [name for name in names if isinstance(name, str) and ARCHITECTURE_ID.fullmatch(name)]
    if not isinstance(names, list) or len(ids) < len(names):
        yield "popular must be a list of ids that look like model_type:ClassName"
    elif len({name.partition(":")[0] for name in ids}) < len(ids):
        yield "popular must have each model type once"


def _entry_problems(name: str, entry: Any) -> Iterator[str]:
    if not ARCHITECTURE_ID.fullmatch(name):
        yield "an id must look like model_type:ClassName"
    if not isinstance(entry, dict):
        yield "an entry must be a table with a family"
        return
    if unknown := sorted(entry.keys() - {"family", "config"}):
        yield f"unknown keys {', '.join(unknown)}"
    if entry.get("family") not in FAMILIES:
        yield f"family {entry.get('family')!r} is none of {', '.join(FAMILIES)}"
    if not isinstance(entry.get("config", {}), dict):
        yield "config must be a table of configuration values"

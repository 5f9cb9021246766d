"""Which tensors releases of transformers save: their names, dtypes and shapes, as `saved_names.json` keeps them.

Imported by host and probe, as `matrix.model` is: standard library only, Python 3.10 or newer.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PATH: Final = Path(__file__).parent / "saved_names.json"

Specs = Mapping[str, str]
"""The dtype and the shape of each tensor, such as "float32 32 24", by its name."""


@dataclass(frozen=True)
class SavedNames:
    """What the scanned releases `first` to `last` save of an architecture that `recipe` makes tiny."""

    first: str
    last: str
    recipe: Mapping[str, Any]
    tensors: Specs


class UnreadableNamesError(Exception):
    """Raised for a list of names that cannot be read; the message says what is wrong with it."""


def read_names(architecture: str, path: Path = PATH) -> tuple[SavedNames, ...]:
    """Returns what is known of an architecture, the oldest first; nothing for one that the file does not have.

    Raises UnreadableNamesError.
    """
    try:
        entries = json.loads(path.read_bytes())["architectures"].get(architecture, ())
        return tuple(
            SavedNames(one["first"], one["last"], dict(one["recipe"]), unfold(one["names"])) for one in entries
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnreadableNamesError(f"{path.name} cannot be read: {type(error).__name__}: {error}") from error


def read_older(architecture: str, version: str, path: Path = PATH) -> tuple[SavedNames, ...]:
    """Returns what releases before `version` save of an architecture, and it does not; raises UnreadableNamesError."""
    return tuple(names for names in read_names(architecture, path) if _order(names.last) < _order(version))


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def fold(tensors: Specs) -> dict[str, Any]:
    """Returns `tensors` as tables in tables, one for each part of a name; parts with the same table share it."""
    tree: dict[str, Any] = {}
    for name in sorted(tensors):
        *path, last = name.split(".")
        table = tree
        for part in path:
            table = table.setdefault(part, {})
        table[last] = tensors[name]
    return _share(tree)


def _share(tree: Mapping[str, Any]) -> dict[str, Any]:
    shared: dict[str, list[str]] = {}
    for part, below in tree.items():
        names, table = _shorten(part, _share(below) if isinstance(below, Mapping) else below)
        shared.setdefault(json.dumps(table), []).append(names)
    return {",".join(names): json.loads(table) for table, names in shared.items()}


def _shorten(part: str, below: Any) -> tuple[str, Any]:
    """Returns a name and its table without one that has a single entry: that becomes a name of several parts."""
    if not isinstance(below, Mapping) or len(below) > 1:
        return part, below
    [(names, table)] = below.items()
    return ",".join(f"{part}.{name}" for name in names.split(",")), table


def unfold(tree: Mapping[str, Any]) -> dict[str, str]:
    """Returns the tensors that `fold` made into `tree`."""
    return dict(_unfold(tree))


def _unfold(tree: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for parts, below in tree.items():
        for part in parts.split(","):
            if isinstance(below, str):
                yield part, below
            else:
                yield from ((f"{part}.{name}", spec) for name, spec in _unfold(below))

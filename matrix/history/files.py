"""The folder of a history: one folder per nightly run, `2026-11-22/<environment id>.jsonl.gz` or `.jsonl`, no file ever changed."""

import os
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Final

from matrix.errors import ResultsError
from matrix.model import Cell

HALF: Final = ".half"
"""The ending of a file's name while it is being written."""


class CellState(StrEnum):
    """What became of a cell. Only the first two are measurements: an incomplete one says nothing of what it left out."""

    COMPLETE = "complete"
    FAILED = "failed"
    INCOMPLETE = "incomplete"

    @classmethod
    def of(cls, cell: Cell) -> "CellState":
        """Returns the state of `cell`."""
        if cell.error:
            return cls.FAILED
        return cls.COMPLETE if cell.complete else cls.INCOMPLETE

    @property
    def measured(self) -> bool:
        """Whether the cell's verdicts count."""
        return self is not CellState.INCOMPLETE


def folder_of(path: str) -> str:
    """Returns the folder of the file at `path` inside a history: a date, if all is well."""
    return path.partition("/")[0]


def list_record_paths(history: Path) -> list[str]:
    """Returns the path of every file in a folder of the `history`, the oldest night first, without half-written ones."""
    paths = [storable(f"{night}/{name}") for night in _names(history) for name in _names(history / night)]
    return sorted(path for path in paths if not path.endswith(HALF))


def _names(folder: Path) -> list[str]:
    """Returns the names in a folder; none where it is missing, a file, or not readable."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - only the names are needed
    except OSError:
        return []


def storable(text: str) -> str:
    """Returns the text with everything escaped that is not Unicode: halves of surrogate pairs in names and hostile records."""
    return text.encode(errors="backslashreplace").decode()


def default_database(history: Path) -> Path:
    """Returns where the database of the folder `history` is kept unless another place is named: next to it."""
    folder = history.resolve()
    return folder.with_name(f"{folder.name}.sqlite")


def parse_date(path: str) -> date:
    """Returns the date of the nightly run that the record file at `path` is of. Raises ResultsError for a folder without one."""
    name = folder_of(path)
    try:
        night = date.fromisoformat(name)
    except ValueError:
        night = None
    # fromisoformat also takes 20261122 and 2026-W47-7: one date would have several folders.
    if night is None or night.isoformat() != name:
        raise ResultsError(Path(path), f"{name} is not a nightly run (a folder like 2026-11-22)")
    return night

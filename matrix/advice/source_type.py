"""Detects what kind of source of results a path or address is, from what is there, not from its name."""

from enum import StrEnum
from pathlib import Path
from typing import Final

from matrix.advice.advice_file import PATH
from matrix.errors import ResultsError, UnknownSourceError
from matrix.history.files import parse_date

_SQLITE: Final = b"SQLite format 3\0"
"""How a database begins: https://www.sqlite.org/fileformat.html."""


class SourceType(StrEnum):
    """A kind of source of results, as a sentence goes on with its path or address."""

    SITE = "the published site"
    RESULTS = "the results in"
    HISTORY = "the history"
    DATABASE = "the history's database"


def detect_source_type(source: str) -> SourceType:
    """Returns the type of `source`; raises UnknownSourceError for anything else."""
    path = Path(source)
    if "://" in source:
        return SourceType.SITE
    if any(path.glob("*.jsonl")):
        return SourceType.RESULTS
    if any(map(_is_night, path.glob("*/"))):
        return SourceType.HISTORY
    if path.is_file() and _begins(path, _SQLITE):
        return SourceType.DATABASE
    raise UnknownSourceError(path, _instead(path))


def _is_night(folder: Path) -> bool:
    try:
        parse_date(folder.name)
    except ResultsError:
        return False
    return True


def _begins(path: Path, begin: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(begin)) == begin
    except OSError as error:
        raise UnknownSourceError(path, f"cannot be read ({error.strerror})") from error


def _instead(path: Path) -> str:
    """Returns what is there instead."""
    if path.is_file():
        return "is a file, but not the database of a history"
    if not path.exists():
        return "does not exist"
    if any(path.glob("*.jsonl.gz")):
        return "is a single nightly run: pass the history, which is the folder around it"
    if (path / PATH).exists():
        return "is a site on disk: pass its published address, or the history that it was built from"
    return "has neither results (*.jsonl) nor nightly runs (folders such as 2026-11-22)"

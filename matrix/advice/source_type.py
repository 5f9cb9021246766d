"""What advice is asked of: results, a history, its database or a published site; told by what is there, not by its name."""

from enum import StrEnum
from pathlib import Path
from typing import Final

from matrix.advice.advice_file import PATH
from matrix.errors import NoKnowledgeError, ResultsError
from matrix.history.files import parse_night

_SQLITE: Final = b"SQLite format 3\0"
"""How a database begins: https://www.sqlite.org/fileformat.html."""


class Given(StrEnum):
    """What advice can be taken from, as a sentence goes on with its path or address."""

    SITE = "the published site"
    RESULTS = "the results in"
    HISTORY = "the history"
    DATABASE = "the history's database"


def given(source: str) -> Given:
    """What `source` is; raises NoKnowledgeError when it is none of them."""
    path = Path(source)
    if "://" in source:
        return Given.SITE
    if any(path.glob("*.jsonl")):
        return Given.RESULTS
    if any(map(_is_night, path.glob("*/"))):
        return Given.HISTORY
    if path.is_file() and _begins(path, _SQLITE):
        return Given.DATABASE
    raise NoKnowledgeError(path, _instead(path))


def _is_night(folder: Path) -> bool:
    try:
        parse_night(folder.name)
    except ResultsError:
        return False
    return True


def _begins(path: Path, begin: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(begin)) == begin
    except OSError as error:
        raise NoKnowledgeError(path, f"cannot be read ({error.strerror})") from error


def _instead(path: Path) -> str:
    """What is there instead."""
    if path.is_file():
        return "is a file, but no database of a history"
    if not path.exists():
        return "is not there"
    if any(path.glob("*.jsonl.gz")):
        return "is one night of a history: name the folder that it is in"
    if (path / PATH).exists():
        return "is a site on disk: name the address it is published at, or what it was made of"
    return "holds neither results (*.jsonl) nor nights (2026-11-22)"

"""The truth of a history: a folder per night, `2026-11-22/<environment id>.jsonl.gz` or `.jsonl`, never changed once kept."""

import gzip
import hashlib
import re
import zlib
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Final

from matrix.errors import ResultsError
from matrix.model import Case, CaseKey, Cell, Timing
from matrix.store import assembled, parsed, typed

Known = dict[bytes, Case]
"""Case lines that were read before, without their times: what a night repeats is not judged again."""

HALF: Final = ".half"
"""How the name of a file ends that is being written."""

KNOWN_LINES: Final = 50_000
_TIMES: Final = re.compile(rb'(?:0|[1-9]\d*)\.\d+, "load_seconds": (?:0|[1-9]\d*)\.\d+\}')


class State(StrEnum):
    """What became of a cell. Only the first two are measurements: an incomplete one says nothing of what it left out."""

    COMPLETE = "complete"
    FAILED = "failed"
    INCOMPLETE = "incomplete"

    @classmethod
    def of(cls, cell: Cell) -> "State":
        """The state of `cell`."""
        if cell.error:
            return cls.FAILED
        return cls.COMPLETE if cell.complete else cls.INCOMPLETE

    @property
    def measured(self) -> bool:
        """Whether the cell's verdicts count."""
        return self is not State.INCOMPLETE


@dataclass(frozen=True, order=True)
class RecordFile:
    """A file of a history: its path inside it, with `/`, and the digest of its bytes, empty when they cannot be read."""

    path: str
    digest: bytes

    @property
    def folder(self) -> str:
        """The folder it is in: a night, if all is well."""
        return self.path.partition("/")[0]


def listing(history: Path) -> list[RecordFile]:
    """Every file in a folder of the `history`, sorted: nights in their order. Half-written ones do not exist yet."""
    paths = [path for path in history.glob("*/*") if not path.name.endswith(HALF)]
    return sorted(RecordFile(storable(path.relative_to(history).as_posix()), _digest(path)) for path in paths)


def storable(text: str) -> str:
    """The text with what is no Unicode written out: the half characters of broken names and hostile records."""
    return text.encode(errors="backslashreplace").decode()


def _digest(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()[:16]
    except OSError:
        return b""


def night_of(path: str) -> date:
    """The night that a record file is of, by its `path` inside the history; raises ResultsError when it is of none."""
    name = path.partition("/")[0]
    try:
        night = date.fromisoformat(name)
    except ValueError:
        night = None
    if night is None or night.isoformat() != name:
        raise ResultsError(Path(path), f"{name} is no night (a folder like 2026-11-22)")
    return night


def recorded(history: Path, path: str, known: Known | None = None) -> Cell:
    """The cell in the record file at `path` inside the `history`; ResultsError or OtherSchemaError says why there is none.

    With `known`, lines alike but for their times are one case: for its verdict, not for how long it took.
    """
    file, lines = Path(path), enumerate(_lines(history, path), start=1)
    return assembled((_value(line, file, number, known) for number, line in lines), file)


def case_lines(history: Path, path: str) -> dict[CaseKey, bytes]:
    """The line of each case in a file that `recorded` could read: its last one, as it is there."""
    file, lines = Path(path), enumerate(_lines(history, path), start=1)
    values = ((_judged(line, file, number), line) for number, line in lines)
    return {value.key: line for value, line in values if isinstance(value, Case)}


def _lines(history: Path, path: str) -> list[bytes]:
    """The lines of a file; a last one without its end was cut off: it does not count."""
    try:
        raw = (history / path).read_bytes()
    except OSError as error:
        raise ResultsError(Path(path), error.strerror or str(error)) from error
    return unpacked(raw, Path(path)).split(b"\n")[:-1]


def unpacked(raw: bytes, path: Path) -> bytes:
    """The records in the bytes of the file at `path`; raises ResultsError when they are damaged or it has another name."""
    if path.suffix == ".jsonl":
        return raw
    if not path.name.endswith(".jsonl.gz"):
        raise ResultsError(path, "is neither .jsonl nor .jsonl.gz")
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise ResultsError(path, f"is damaged: {error}") from error


def _value(line: bytes, path: Path, number: int, known: Known | None) -> Cell | Case | Timing:
    # A quote inside a JSON string has a backslash before it, so this text is the key itself.
    head, _, times = line.rpartition(b', "seconds": ')
    if known is None or number == 1 or not _TIMES.fullmatch(times):
        return _judged(line, path, number)
    if head not in known:
        value = _judged(line, path, number)
        if not isinstance(value, Case):
            return value
        if len(known) >= KNOWN_LINES:
            known.clear()
        known[head] = value
    return known[head]


def _judged(line: bytes, path: Path, number: int) -> Cell | Case | Timing:
    return typed(parsed(line, path, number), path, number)

"""The truth of a history: a folder per night, `2026-11-22/<environment id>.jsonl.gz` or `.jsonl`, never changed once kept."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

from matrix.errors import ResultsError
from matrix.model import Cell
from matrix.parallel import spread
from matrix.results.store import LineReader, assembled, schema_of

_In = TypeVar("_In")
_Out = TypeVar("_Out")

HALF: Final = ".half"
"""How the name of a file ends that is being written."""

MANY: Final = 1_000
"""So many files are read sooner by one process than by several."""

MIB: Final = 2**20
BLOCK: Final = MIB // 8
"""So many bytes of a file are read at once: all of most."""


@dataclass(frozen=True)
class Limits:
    """How much of a history is read; what goes beyond is refused, file by file. `size` is in bytes, packed or not.

    The largest results file of the default set has 1.8 MB in 700 lines.
    """

    size: int = 64 * MIB
    lines: int = 100_000
    files_of_a_night: int = 1_000


LIMITS: Final = Limits()
_GZIP: Final = 16
"""Added to the window size: the data has the header and the checksum of gzip."""


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


@dataclass(frozen=True)
class RecordFile:
    """A file of a history: its path inside it, with `/`, and the digest of its bytes, empty when they cannot be read."""

    path: str
    digest: bytes


def folder_of(path: str) -> str:
    """The folder of the file at `path` inside a history: a night, if all is well."""
    return path.partition("/")[0]


def listing(history: Path) -> list[str]:
    """The path of every file in a folder of the `history`, sorted: nights in their order. Half-written ones do not exist."""
    paths = [f"{night}/{name}" for night in _names(str(history)) for name in _names(f"{history}/{night}")]
    return sorted((path for path in paths if not path.endswith(HALF)), key=lambda path: (storable(path), path))


def record_files(history: Path, paths: Sequence[str]) -> list[RecordFile]:
    """The files at `paths` of the `history`, read by all processors where they are many."""
    return list(chain.from_iterable(_in_parts(partial(_read, str(history)), paths)))


def unchanged(history: Path, digests: Mapping[str, bytes]) -> bool:
    """Whether the files of the `history` at these paths still have these digests."""
    return all(_in_parts(partial(_same, str(history)), list(digests.items())))


def _in_parts(work: Callable[[Sequence[_In]], _Out], items: Sequence[_In]) -> list[_Out]:
    """What `work` gives for each part of `items`, by all processors where they are MANY."""
    with spread(work, [items[start : start + MANY] for start in range(0, len(items), MANY)]) as found:
        return list(found)


def _names(folder: str) -> list[str]:
    """What is in a folder; nothing in what is none, is gone, or may not be read."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - a year has 22,000 files, and a Path costs more than to read one
    except OSError:
        return []


def _read(history: str, paths: Sequence[str]) -> list[RecordFile]:
    return [RecordFile(storable(path), _digest(f"{history}/{path}")) for path in paths]


def storable(text: str) -> str:
    """The text with what is no Unicode written out: the half characters of broken names and hostile records."""
    return text.encode(errors="backslashreplace").decode()


def _same(history: str, digests: Sequence[tuple[str, bytes]]) -> bool:
    """Whether nothing changed; digests are not handed over, which costs processor time for each file."""
    return all(_digest(f"{history}/{path}") == digest for path, digest in digests)


def _digest(path: str) -> bytes:
    digest = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as above
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError:
        return b""
    return digest.digest()[:16]


def database_of(history: Path) -> Path:
    """Where the database of the folder `history` is kept when nobody names another place: beside it."""
    folder = history.resolve()
    return folder.with_name(f"{folder.name}.sqlite")


def night_of(path: str) -> date:
    """The night that a record file is of, by its `path` inside the history; raises ResultsError when it is of none."""
    name = folder_of(path)
    try:
        night = date.fromisoformat(name)
    except ValueError:
        night = None
    if night is None or night.isoformat() != name:
        raise ResultsError(Path(path), f"{name} is no night (a folder like 2026-11-22)")
    return night


def recorded(history: Path, path: str) -> Cell:
    """The cell in the record file at `path` inside the `history`; ResultsError or OtherSchemaError says why there is none."""
    lines = record_lines(contents(history, path), path)
    reader = LineReader(Path(path), schema_of(lines, Path(path)))
    return assembled((reader.value(line, number) for number, line in enumerate(lines, start=1)), Path(path))


def contents(history: Path, path: str) -> bytes:
    """The records in the file at `path` inside the `history`; raises ResultsError when they cannot be read."""
    file = history / path
    try:
        if file.stat().st_size > LIMITS.size:
            raise _too_large(Path(path))
        raw = file.read_bytes()
    except OSError as error:
        raise ResultsError(Path(path), error.strerror or str(error)) from error
    return unpacked(raw, Path(path))


def record_lines(content: bytes, path: str) -> list[bytes]:
    """The lines of a file's `content`; a last one without its end was cut off: it does not count. Raises ResultsError."""
    lines = content.split(b"\n", LIMITS.lines + 1)[:-1]
    check_lines(len(lines) - 1, Path(path))
    return lines


def check_lines(count: int, path: Path) -> None:
    """Raise ResultsError for so many lines after the header of the file at `path` as no results have."""
    if count >= LIMITS.lines:
        raise ResultsError(path, f"has more than {LIMITS.lines} lines, which no results have")


def packed(content: bytes) -> bytes:
    """The bytes of a .jsonl.gz file with this `content`, always the same."""
    return gzip.compress(content, mtime=0)


def unpacked(raw: bytes, path: Path) -> bytes:
    """The records in the bytes of the file at `path`.

    Raises ResultsError when they are damaged, more than LIMITS allow, or when the file has another kind of name.
    """
    if path.suffix == ".jsonl":
        return raw
    if not path.name.endswith(".jsonl.gz"):
        raise ResultsError(path, "is neither .jsonl nor .jsonl.gz")
    member = zlib.decompressobj(zlib.MAX_WBITS | _GZIP)
    try:
        content = member.decompress(raw, LIMITS.size + 1)
    except zlib.error as error:
        raise ResultsError(path, f"is damaged: {error}") from error
    if len(content) > LIMITS.size:
        raise _too_large(path)
    if not member.eof:
        raise ResultsError(path, "is damaged: it was cut off")
    if member.unused_data:
        raise ResultsError(path, "is damaged: something follows its end")
    return content


def _too_large(path: Path) -> ResultsError:
    return ResultsError(path, f"has more than {LIMITS.size // MIB} MiB, which no results have")

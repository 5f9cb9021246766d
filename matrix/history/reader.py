"""Reads the record files of a history, which may be damaged or hostile: nothing beyond the limits is read."""

import gzip
import re
import zlib
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from matrix.errors import ResultsError
from matrix.model import Case, Cell, Timing
from matrix.results.parse import LineReader, find_schema
from matrix.results.read import assemble_cell, parse_cell
from matrix.results.records import SCHEMA

MIB: Final = 2**20
_GZIP: Final = 16
"""Added to the window size, it makes zlib expect the header and the checksum of gzip."""


@dataclass(frozen=True)
class HistoryLimits:
    """How much of a history is read; what goes beyond is rejected, file by file. `size` is in bytes, packed or not.

    The largest results file of the default set has 1.8 MB in 700 lines.
    """

    size: int = 64 * MIB
    lines: int = 100_000
    files_of_a_night: int = 1_000


LIMITS: Final = HistoryLimits()


def read_record_file(history: Path, path: str) -> Cell:
    """Returns the cell in the record file at `path` inside the `history`.

    Raises ResultsError when the file cannot be read, OtherSchemaError when its records are too new.
    """
    file = Path(path)
    return parse_cell(_split(_read_content(history, path), file), file)


def read_verdicts(history: Path, path: str) -> Cell:
    """Returns what `read_record_file` does, for verdicts only: its cases are without evidence and times. Raises the same."""
    file = Path(path)
    lines = _split(_read_content(history, path), file)
    reader = LineReader(file, find_schema(lines, file))
    return assemble_cell((_verdict(reader, line, number) for number, line in enumerate(lines, start=1)), file)


_NUMBER: Final = rb"(?:0|[1-9]\d{0,8})\.\d{1,20}"
"""As JSON has it, and finite."""
_TIMES: Final = re.compile(rb', "seconds": %b, "load_seconds": %b(?=[,}])' % (_NUMBER, _NUMBER))
_READ: Final[dict[bytes, Case]] = {}
"""By the digest of a line without its times, what it holds without evidence."""


def _verdict(reader: LineReader, line: bytes, number: int) -> Cell | Case | Timing:
    """Returns what a line holds. One that differs from an earlier line only in its times is not parsed again."""
    digest = blake2b(_TIMES.sub(b"\0", line, count=1), digest_size=16).digest()
    if reader.current and number > 1 and (known := _READ.get(digest)):
        return known
    value = reader.value(line, number)
    if isinstance(value, Case):
        value = Case(value.architecture, value.loader, value.check, value.verdict, value.precision, value.configuration)
        if reader.current:
            _READ[digest] = value
    return value


def _read_content(history: Path, path: str) -> bytes:
    file = history / path
    try:
        if file.stat().st_size > LIMITS.size:
            raise _too_large(Path(path))
        raw = file.read_bytes()
    except OSError as error:
        raise ResultsError(Path(path), error.strerror or str(error)) from error
    return unpack(raw, Path(path))


def _split(content: bytes, path: Path) -> list[bytes]:
    """Returns the lines of a file; a last one without its end was cut off and is left out."""
    lines = content.split(b"\n", LIMITS.lines + 1)[:-1]
    if len(lines) > LIMITS.lines:
        raise ResultsError(path, f"has more than {LIMITS.lines} lines, the limit")
    return lines


def pack(content: bytes) -> bytes:
    """Returns the bytes of a .jsonl.gz file with this `content`, always the same."""
    # The time would make the bytes of the same records differ, and a second try look like another content.
    return gzip.compress(content, mtime=0)


def unpack(raw: bytes, path: Path) -> bytes:
    """Returns the records in the bytes of the file at `path`.

    Raises ResultsError when they are damaged or beyond the limits, or when the file has another kind of name.
    """
    if path.suffix == ".jsonl":
        return raw
    if not path.name.endswith(".jsonl.gz"):
        raise ResultsError(path, "is not a .jsonl or .jsonl.gz file")
    member = zlib.decompressobj(zlib.MAX_WBITS | _GZIP)
    try:
        # Not gzip.decompress: it has no limit, and a few kilobytes can unpack to gigabytes.
        content = member.decompress(raw, LIMITS.size + 1)
    except zlib.error as error:
        raise ResultsError(path, f"is damaged: {error}") from error
    if len(content) > LIMITS.size:
        raise _too_large(path)
    if not member.eof:
        raise ResultsError(path, "is damaged: it was cut off")
    if member.unused_data:
        raise ResultsError(path, "is damaged: it has data after its end")
    return content


def _too_large(path: Path) -> ResultsError:
    return ResultsError(path, f"has more than {LIMITS.size // MIB} MiB, the limit")


def parse_case(line: bytes) -> Case:
    """Returns the case in a line that `case_record` wrote; raises ResultsError."""
    value = LineReader(Path("evidence"), SCHEMA).value(line, 2)
    if not isinstance(value, Case):
        raise ResultsError(Path("evidence"), "is not a case")
    return value

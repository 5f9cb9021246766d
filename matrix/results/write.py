"""Writes results files, which are only ever appended to, by one process at a time."""

import fcntl
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from matrix.errors import BusyError, OlderSchemaError, OutputError
from matrix.model import Case, Cell, Timing
from matrix.results.parse import find_schema
from matrix.results.read import read_lines
from matrix.results.records import SCHEMA, case_record, end_record, header_record


class CellWriter:
    """Appends records to the file of one cell, each on disk before the next is measured."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path, self._file = path, file

    def _write(self, line: str) -> None:
        try:
            self._file.write(line + "\n")
            self._file.flush()
            # The next case may take the machine down, and --resume must find what was measured before it.
            os.fsync(self._file.fileno())
        except OSError as error:
            raise OutputError(self._path, error) from error

    def header(self, cell: Cell) -> None:
        """Writes the first line."""
        self._write(header_record(cell))

    def case(self, case: Case) -> None:
        """Appends one case; it replaces an earlier record of the same case."""
        self._write(case_record(case))

    def end(self, cases: Iterable[Case], timing: Timing) -> None:
        """Adds the last line: the cell is complete."""
        self._write(end_record(cases, timing))


def _drop_half_line(path: Path) -> None:
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


def _reject_older(path: Path) -> None:
    if (schema := find_schema(read_lines(path)[:1], path)) != SCHEMA:
        raise OlderSchemaError(path, schema, SCHEMA)


@contextmanager
def append(path: Path) -> Iterator[CellWriter]:
    """Yields a writer at the end of `path`, which is created when missing. Raises BusyError while another one writes, OutputError.

    A file is of one schema: raises OlderSchemaError, or OtherSchemaError, when it has records of another one.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(path, error) from error
    try:
        # The lock comes first: what looks like half a line may be one that another run is still writing.
        _lock(file, path)
        _drop_half_line(path)
        _reject_older(path)
        yield CellWriter(path, file)
    finally:
        with suppress(OSError):  # on a full disk closing fails once more, after the writer has said so
            file.close()


def _lock(file: TextIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BusyError(path) from error


def set_aside(path: Path) -> Path:
    """Renames a results file, so that a new one can be begun, and returns its new path; raises BusyError while it is written."""
    names = (path.with_name(f"{path.stem}.{number}.jsonl.old") for number in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    try:
        with path.open("a", encoding="utf-8") as file:
            # Locked, since a run that writes would go on writing into the renamed file.
            _lock(file, path)
            path.rename(aside)
    except OSError as error:
        raise OutputError(path, error) from error
    return aside

"""Results files and the objects they hold. One file per cell, one JSON record per line, only ever appended to."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from pydantic import TypeAdapter, ValidationError

from matrix.errors import BusyError, NoResultsError, OtherSchemaError, OutputError, ResultsError
from matrix.model import SCHEMA, Case, Cell, Run, Timing, case_record, end_record, header_record

_CELL = TypeAdapter(Cell)
_CASE = TypeAdapter(Case)
_TIMING = TypeAdapter(Timing)


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records of a file with their line numbers. A last line without its end was cut off: it does not count."""
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ResultsError(path, f"line {number} is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise ResultsError(path, f"line {number} is not a record")
        yield number, record


def _header(path: Path, record: dict[str, Any]) -> Cell:
    if record.pop("record", None) != "cell":
        raise ResultsError(path, "line 1 is not a cell record")
    if (schema := record.pop("schema", None)) != SCHEMA:
        raise OtherSchemaError(path, schema, SCHEMA)
    return _CELL.validate_json(json.dumps(record), strict=True)


def read_cell(path: Path) -> Cell:
    """The cell in `path`; a later record of a case replaces an earlier one.

    Raises OtherSchemaError, or ResultsError for anything that is no results file. A half-written last line is left out.
    """
    records = _records(path)
    try:
        first = next(records, None)
        if first is None:
            raise ResultsError(path, "no complete record")
        cell = _header(path, first[1])
        return _with_cases(cell, path, records)
    except ValidationError as error:
        problem = error.errors()[0]
        raise ResultsError(path, f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}") from error


def _with_cases(cell: Cell, path: Path, records: Iterator[tuple[int, dict[str, Any]]]) -> Cell:
    cases: dict[object, Case] = {}
    complete, timing = False, Timing()
    for number, record in records:
        kind = record.pop("record", None)
        complete = kind == "end"
        if kind == "case":
            case = _CASE.validate_json(json.dumps(record), strict=True)
            cases[case.key] = case
        elif kind == "end":
            record.pop("cases", None)
            timing = _TIMING.validate_json(json.dumps(record), strict=True)
        else:
            raise ResultsError(path, f"line {number} is of unknown kind {kind!r}")
    planned = max(cell.planned, len(cases))  # a resumed file may hold more than its header asked for
    return replace(cell, cases=tuple(cases.values()), complete=complete, timing=timing, planned=planned)


def read_run(directory: Path) -> Run:
    """Every cell in `directory`; raises NoResultsError when there is none, and what `read_cell` raises."""
    paths = sorted(directory.glob("*.jsonl"))
    if not paths:
        raise NoResultsError(directory)
    return Run(tuple(read_cell(path) for path in paths))


class CellWriter:
    """Appends records to the file of one cell, each on disk before the next is measured."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path, self._file = path, file

    def _write(self, line: str) -> None:
        try:
            self._file.write(line + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise OutputError(self._path, error) from error

    def header(self, cell: Cell) -> None:
        """Begin the file."""
        self._write(header_record(cell))

    def case(self, case: Case) -> None:
        """Add one case, or what is now known better of it."""
        self._write(case_record(case))

    def end(self, cases: Iterable[Case], timing: Timing) -> None:
        """Say that the cell is complete."""
        self._write(end_record(cases, timing))


def _drop_half_line(path: Path) -> None:
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


@contextmanager
def append(path: Path) -> Iterator[CellWriter]:
    """A writer at the end of `path`, which is made when missing; alone, or it raises BusyError; OutputError if it can't."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(path, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(path) from error
        _drop_half_line(path)
        yield CellWriter(path, file)


def set_aside(path: Path) -> Path:
    """Move a results file out of the way, keeping it, and return where it went."""
    for number in range(1, 10_000):
        aside = path.with_name(f"{path.stem}.{number}.jsonl.old")
        if not aside.exists():
            path.rename(aside)
            return aside
    raise OutputError(path, OSError("too many old results beside it"))


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the records of a results file."""
    return {"oneOf": [_CELL.json_schema(), _CASE.json_schema()]}

"""Results files and the objects they hold. One file per cell, one JSON record per line, only ever appended to."""

import fcntl
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar

from pydantic import TypeAdapter, ValidationError

from matrix.errors import BusyError, NoResultsError, OtherSchemaError, OutputError, ResultsError
from matrix.model import SCHEMA, Case, Cell, Run, Timing, case_record, end_record, header_record

_CELL = TypeAdapter(Cell)
_CASE = TypeAdapter(Case)
_TIMING = TypeAdapter(Timing)
_KINDS: Final = {"cell": "Cell", "case": "Case", "end": "Timing"}
_Value = TypeVar("_Value")


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records of a file with their line numbers. A last line without its end was cut off: it does not count."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ResultsError(path, error.strerror or str(error)) from error
    for number, line in enumerate(lines[:-1], start=1):
        yield number, parsed(line, path, number)


def parsed(line: bytes, path: Path, number: int) -> dict[str, Any]:
    """The record in a line; `path` and the line's `number` are for the message of ResultsError."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ResultsError(path, f"line {number} is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise ResultsError(path, f"line {number} is not a record")
    return record


def typed(record: dict[str, Any], path: Path, number: int) -> Cell | Case | Timing:
    """What a record holds: the first of a file is its cell, any later one a case or the end's times.

    `path` and the line's `number` are for the messages. Raises OtherSchemaError, and ResultsError for what is no record.
    """
    kind, values = record.get("record"), {name: value for name, value in record.items() if name != "record"}
    if number == 1:
        return _header(kind, values, path)
    if kind == "case":
        return _validated(_CASE, values, path, number)
    if kind == "end":
        values.pop("cases", None)
        return _validated(_TIMING, values, path, number)
    raise ResultsError(path, f"line {number} is of unknown kind {kind!r}")


def _header(kind: object, values: dict[str, Any], path: Path) -> Cell:
    if kind != "cell":
        raise ResultsError(path, "line 1 is not a cell record")
    if (schema := values.pop("schema", None)) != SCHEMA:
        raise OtherSchemaError(path, schema, SCHEMA)
    return _validated(_CELL, values, path, 1)


def _validated(adapter: TypeAdapter[_Value], values: dict[str, Any], path: Path, number: int) -> _Value:
    try:
        return adapter.validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise ResultsError(path, f"line {number}: {where}: {problem['msg']}") from error


def read_cell(path: Path) -> Cell:
    """The cell in `path`; a later record of a case replaces an earlier one.

    Raises OtherSchemaError, or ResultsError for anything that is no results file. A half-written last line is left out.
    """
    return assembled((typed(record, path, number) for number, record in _records(path)), path)


def assembled(values: Iterable[Cell | Case | Timing], path: Path) -> Cell:
    """The cell that a file's records make, in their order; raises ResultsError when there are none."""
    records = iter(values)
    cell = next(records, None)
    if not isinstance(cell, Cell):
        raise ResultsError(path, "no complete record")
    cases: dict[object, Case] = {}
    complete, timing = False, Timing()
    for value in records:
        complete = isinstance(value, Timing)
        if isinstance(value, Timing):
            timing = value
        elif isinstance(value, Case):
            cases[value.key] = value
    # A resumed file may hold more than its header asked for, or, resumed for a part, end with less.
    complete = complete and (cell.error is not None or len(cases) >= cell.planned)
    planned = max(cell.planned, len(cases))
    return replace(cell, cases=tuple(cases.values()), complete=complete, timing=timing, planned=planned)


def _age(cell: Cell) -> tuple[list[int], ...]:
    """Sorts cells by the versions of transformers, then deepspeed, then torch."""
    info = cell.environment
    return tuple(
        [int(n) for n in re.findall(r"\d+", pin)[:4]] for pin in (info.transformers, info.deepspeed, info.torch)
    )


def read_run(directory: Path) -> Run:
    """Every cell in `directory`, the oldest versions first; raises NoResultsError when there is none, and what `read_cell` raises."""
    paths = sorted(directory.glob("*.jsonl"))
    if not paths:
        raise NoResultsError(directory)
    return Run(tuple(sorted((read_cell(path) for path in paths), key=_age)))


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
    try:
        _lock(file, path)
        _drop_half_line(path)
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
    """Move a results file out of the way, keeping it, and return where it went; BusyError while it is written."""
    names = (path.with_name(f"{path.stem}.{number}.jsonl.old") for number in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    try:
        with path.open("a", encoding="utf-8") as file:
            _lock(file, path)
            path.rename(aside)
    except OSError as error:
        raise OutputError(path, error) from error
    return aside


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of one line of a results file, a cell, case or end record, as this version writes it."""
    _, document = TypeAdapter.json_schemas(
        [("cell", "serialization", _CELL), ("case", "serialization", _CASE), ("end", "serialization", _TIMING)]
    )
    types: dict[str, dict[str, Any]] = document["$defs"]
    for told_later in ("cases", "complete", "timing"):
        del types["Cell"]["properties"][told_later]
    types["Cell"]["properties"]["schema"] = {"const": SCHEMA}
    types["Timing"]["properties"]["cases"] = {"type": "integer"}
    for kind, name in _KINDS.items():
        types[name]["properties"]["record"] = {"const": kind}
    for described in types.values():
        if "properties" in described:
            described.update(required=sorted(described["properties"]), additionalProperties=False)
    records = [{"$ref": f"#/$defs/{name}"} for name in _KINDS.values()]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "oneOf": records, "$defs": types}

"""Results files and the objects they hold. One file per cell, one JSON record per line, only ever appended to."""

import fcntl
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar

from pydantic import TypeAdapter, ValidationError

from matrix.errors import BusyError, NoResultsError, OlderSchemaError, OtherSchemaError, OutputError, ResultsError
from matrix.model import Case, Cell, Run, Timing
from matrix.results.migrations import migrated
from matrix.results.records import SCHEMA, case_record, end_record, header_record

_CELL = TypeAdapter(Cell)
_CASE = TypeAdapter(Case)
_TIMING = TypeAdapter(Timing)
HEADER: Final = f'{{"record": "cell", "schema": {SCHEMA}, '.encode()
_LATER: Final[Mapping[bytes, TypeAdapter[Any]]] = {b'{"record": "case", ': _CASE, b'{"record": "end", ': _TIMING}
"""How lines begin that this version wrote, and what they hold."""
_KINDS: Final = {"cell": "Cell", "case": "Case", "end": "Timing"}
_Value = TypeVar("_Value")


def _lines(path: Path) -> list[bytes]:
    """The lines of a file. A last one without its end was cut off: it does not count."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise ResultsError(path, error.strerror or str(error)) from error


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
    """What a record of this schema holds: the first of a file is its cell, any later one a case or the end's times.

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


def schema_of(lines: Sequence[bytes], path: Path) -> int:
    """The schema that the header among the `lines` of a file says; raises OtherSchemaError when it is not known here.

    That of this version when there is no header: what is wrong is told where the first line is read.
    """
    if not lines or lines[0].startswith(HEADER):
        return SCHEMA
    header = parsed(lines[0], path, 1)
    found = header.get("schema")
    if header.get("record") != "cell":
        return SCHEMA
    if type(found) is not int or not 1 <= found <= SCHEMA:
        raise OtherSchemaError(path, found, SCHEMA)
    return found


def _as_written(line: bytes, number: int) -> Cell | Case | Timing | None:
    """What a line holds that this version may have written, ten times as fast; None where `typed` has to tell."""
    starts = {HEADER: _CELL} if number == 1 else _LATER
    adapter = next((adapter for start, adapter in starts.items() if line.startswith(start)), None)
    try:
        value: Cell | Case | Timing | None = adapter and adapter.validate_json(line, strict=True)
    except ValidationError:
        return None
    return value


@dataclass(frozen=True)
class LineReader:
    """Reads the lines of the file at `path`, all of which are of the same `schema`, this version's or an older one."""

    path: Path
    schema: int

    @property
    def current(self) -> bool:
        """Whether the lines are as this version writes them."""
        return self.schema == SCHEMA

    def value(self, line: bytes, number: int) -> Cell | Case | Timing:
        """What the line of that number holds; raises as `typed` does."""
        if self.current and (known := _as_written(line, number)):
            return known
        record = parsed(line, self.path, number)
        if not self.current:
            record = self._migrated(record, number)
        return typed(record, self.path, number)

    def _migrated(self, record: dict[str, Any], number: int) -> dict[str, Any]:
        try:
            return migrated(record, self.schema)
        except Exception as error:  # a step expects a record; this may be anything
            what = f"line {number} is no record of schema {self.schema}"
            raise ResultsError(self.path, f"{what} ({type(error).__name__})") from error


def read_cell(path: Path) -> Cell:
    """The cell in `path`; a later record of a case replaces an earlier one. Records of older schemas are migrated.

    Raises OtherSchemaError, or ResultsError for anything that is no results file. A half-written last line is left out.
    """
    lines = _lines(path)
    reader = LineReader(path, schema_of(lines, path))
    return assembled(itertools.starmap(reader.value, zip(lines, itertools.count(1), strict=False)), path)


def assembled(values: Iterable[Cell | Case | Timing], path: Path) -> Cell:
    """The cell that a file's records make, in their order; raises ResultsError when there are none."""
    records = iter(values)
    cell = next(records, None)
    if not isinstance(cell, Cell):
        raise ResultsError(path, "no complete record")
    cases: dict[object, Case] = {}
    ended, timing = False, Timing()
    for value in records:
        ended = isinstance(value, Timing)
        if isinstance(value, Timing):
            timing = value
        elif isinstance(value, Case):
            cases[value.key] = value
    return with_cases(replace(cell, timing=timing), tuple(cases.values()), ended=ended)


def with_cases(cell: Cell, cases: tuple[Case, ...], *, ended: bool) -> Cell:
    """The `cell` of a header with its `cases`; `ended` when the last record of its file is its end."""
    # A resumed file may hold more than its header asked for, or, resumed for a part, end with less.
    complete = ended and (cell.error is not None or len(cases) >= cell.planned)
    return replace(cell, cases=cases, complete=complete, planned=max(cell.planned, len(cases)))


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


def _refuse_older(path: Path) -> None:
    if (schema := schema_of(_lines(path)[:1], path)) != SCHEMA:
        raise OlderSchemaError(path, schema, SCHEMA)


@contextmanager
def append(path: Path) -> Iterator[CellWriter]:
    """A writer at the end of `path`, which is made when missing; alone, or it raises BusyError; OutputError if it can't.

    A file is of one schema: raises OlderSchemaError, or OtherSchemaError, when it has records of another one.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(path, error) from error
    try:
        _lock(file, path)
        _drop_half_line(path)
        _refuse_older(path)
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

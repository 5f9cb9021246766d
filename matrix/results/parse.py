"""Parses and validates the lines of results files; lines of older schemas are migrated."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from matrix.errors import OtherSchemaError, ResultsError
from matrix.model import Case, Cell, Timing
from matrix.results.migrations import migrate
from matrix.results.records import SCHEMA

_CELL = TypeAdapter(Cell)
_CASE = TypeAdapter(Case)
_TIMING = TypeAdapter(Timing)
HEADER: Final = f'{{"record": "cell", "schema": {SCHEMA}, '.encode()
_LATER: Final[Mapping[bytes, TypeAdapter[Any]]] = {b'{"record": "case", ': _CASE, b'{"record": "end", ': _TIMING}
"""How lines begin that this version wrote, and what they hold."""
_Value = TypeVar("_Value")


def parse_record(line: bytes, path: Path, number: int) -> dict[str, Any]:
    """Returns the record in a line; `path` and the line's `number` are for the message of ResultsError."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ResultsError(path, f"line {number} is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise ResultsError(path, f"line {number} is not a record")
    return record


def validate_record(record: dict[str, Any], path: Path, number: int) -> Cell | Case | Timing:
    """Returns what a record of this schema holds: the first of a file is its cell, any later one a case or the end's times.

    `path` and the line's `number` are for the messages. Raises OtherSchemaError, and ResultsError for anything that is not a record.
    """
    kind, values = record.get("record"), {name: value for name, value in record.items() if name != "record"}
    if number == 1:
        return _header(kind, values, path)
    if kind == "case":
        return _validated(_CASE, values, path, number)
    if kind == "end":
        values.pop("cases", None)
        return _validated(_TIMING, values, path, number)
    raise ResultsError(path, f"line {number} has an unknown kind of record, {kind!r}")


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


def find_schema(lines: Sequence[bytes], path: Path) -> int:
    """Returns the schema in the header among the `lines` of a file; raises OtherSchemaError for one that is not known here.

    Without a header that is the schema of this version: whoever reads the first line reports what is wrong.
    """
    if not lines or lines[0].startswith(HEADER):
        return SCHEMA
    header = parse_record(lines[0], path, 1)
    found = header.get("schema")
    if header.get("record") != "cell":
        return SCHEMA
    if type(found) is not int or not 1 <= found <= SCHEMA:
        raise OtherSchemaError(path, found, SCHEMA)
    return found


def _as_written(line: bytes, number: int) -> Cell | Case | Timing | None:
    """Returns what a line holds that this version may have written, ten times as fast; None where it may be another kind."""
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
        """Whether the lines are in the schema of this version."""
        return self.schema == SCHEMA

    def value(self, line: bytes, number: int) -> Cell | Case | Timing:
        """Returns what the line of that number holds; raises what `validate_record` raises."""
        if self.current and (known := _as_written(line, number)):
            return known
        record = parse_record(line, self.path, number)
        if not self.current:
            record = self._migrated(record, number)
        return validate_record(record, self.path, number)

    def _migrated(self, record: dict[str, Any], number: int) -> dict[str, Any]:
        try:
            return migrate(record, self.schema)
        except Exception as error:  # a step expects a record; this may be anything
            what = f"line {number} is not a record of schema {self.schema}"
            raise ResultsError(self.path, f"{what} ({type(error).__name__})") from error

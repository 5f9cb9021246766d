"""Reads results that a stranger's code may have written, without trust: bytes in, a cell out.

A record counts when this project would write the same, field by field, from the value that it holds.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import isfinite
from pathlib import Path
from typing import Any, Final

from bot.text import Sentence, count
from matrix.comparison.compare import Role
from matrix.errors import INFRASTRUCTURE, MatrixError, OtherSchemaError, ResultsError
from matrix.model import Case, CaseKey, Cell, Timing
from matrix.results.parse import validate_record
from matrix.results.read import assemble_cell
from matrix.results.records import case_record, end_record, header_record

MIB: Final = 2**20


@dataclass(frozen=True)
class ArtifactLimits:
    """How much is read of an artifact. Sizes are in bytes, `string` in characters, `ratio` is unpacked by packed size.

    The default set's largest results file has 1.8 MB in 750 lines, its longest line 48 kB, and packs 20 to 1.
    """

    archive: int = 8 * MIB
    member: int = 16 * MIB
    total: int = 48 * MIB
    members: int = len(Role)
    ratio: int = 500
    rows: int = 20_000
    line: int = MIB
    depth: int = 8
    items: int = 10_000
    string: int = 65_536


LIMITS: Final = ArtifactLimits()
DIGITS: Final = 32
"""More digits than Python ever writes. A parser needs long for longer numbers."""

_NOWHERE: Final = Path()
_STRING_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]++|\\.?)*+"?|([\[{])|([\]}])', re.DOTALL)


class HostileError(MatrixError):
    """An artifact that this project did not write; `reason` is in our own words, and what it quotes is `Code`."""

    exit_code = INFRASTRUCTURE

    def __init__(self, *reason: str) -> None:
        self.reason: Sentence = reason
        super().__init__("".join(reason))


def parse_cell(content: bytes, limits: ArtifactLimits = LIMITS) -> Cell:
    """Parses the `content` of a results file, every record of which is as this project writes it; raises HostileError."""
    values: list[Cell | Case | Timing] = []
    cases: dict[CaseKey, Case] = {}
    for number, record in enumerate(_records(content, limits), start=1):
        value = _value(record, number)
        if isinstance(value, Case):
            cases[value.key] = value
        # Written again and compared, which also rejects unknown fields, other types and other spellings of a value.
        if _written(value, cases.values()) != record:
            raise HostileError(f"has a record in line {number} that this project does not write")
        values.append(value)
    if not values:
        raise HostileError("has no complete record")
    return assemble_cell(values, _NOWHERE)


def _value(record: dict[str, Any], number: int) -> Cell | Case | Timing:
    try:
        return validate_record(record, _NOWHERE, number)
    except (ResultsError, OtherSchemaError) as error:  # their words quote the record
        raise HostileError(f"has no record of this version in line {number}") from error


def _written(value: Cell | Case | Timing, cases: Iterable[Case]) -> dict[str, Any]:
    """Returns the record that this project writes of `value`, after `cases`."""
    if isinstance(value, Cell):
        line = header_record(value)
    else:
        line = case_record(value) if isinstance(value, Case) else end_record(cases, value)
    record: dict[str, Any] = json.loads(line)
    return record


def _records(content: bytes, limits: ArtifactLimits) -> Iterator[dict[str, Any]]:
    """Returns the records of a results file; a last line without its end was cut off and does not count. Raises HostileError."""
    lines = content.split(b"\n")[:-1]
    if len(lines) > limits.rows:
        raise HostileError(f"has more than {count(limits.rows, 'line')}")
    return (_record(line, number, limits) for number, line in enumerate(lines, start=1))


def _record(line: bytes, number: int, limits: ArtifactLimits) -> dict[str, Any]:
    try:
        # Before json.loads, which recurses once for each bracket.
        if len(line) > limits.line or _depth(text := line.decode()) > limits.depth:
            raise HostileError(f"has a line that is too long or too deeply nested: {number}")
        record = json.loads(
            text, object_pairs_hook=_unique, parse_int=_integer, parse_float=_finite, parse_constant=_finite
        )
    except (ValueError, RecursionError) as error:
        raise HostileError(f"has no record in line {number}") from error
    if not isinstance(record, dict) or not _bounded(record, limits):
        raise HostileError(f"has no record of an allowed size in line {number}")
    return record


def _integer(text: str) -> int:
    # int() takes a time that grows with the square of the digits.
    if len(text) > DIGITS:
        raise ValueError("not an element of a tensor")
    return int(text)


def _finite(text: str) -> float:
    if len(text) > DIGITS or not isfinite(value := float(text)):
        raise ValueError("not a finite number")
    return value


def _depth(text: str) -> int:
    """Returns how deep brackets nest in JSON text, before a parser has to find out."""
    steps = (bool(found[1]) - bool(found[2]) for found in _STRING_OR_BRACKET.finditer(text))
    return max(accumulate(steps), default=0)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # json keeps the last of two equal names, another reader may keep the first.
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name twice")
    return values


def _bounded(value: Any, limits: ArtifactLimits) -> bool:
    """Tests whether every string and every collection inside `value` is short enough."""
    if isinstance(value, str):
        return len(value) <= limits.string
    if not isinstance(value, dict | list):
        return True
    inside: Iterable[Any] = (*value, *value.values()) if isinstance(value, dict) else value
    return len(value) <= limits.items and all(_bounded(part, limits) for part in inside)

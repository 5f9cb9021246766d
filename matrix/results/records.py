"""Formats the lines of results files; `matrix.results.parse` parses them.

PURE: no input or output.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple, fields
from typing import Any, Final

from matrix.model import Case, Cell, Timing

SCHEMA: Final = 2
"""What the records hold, by number: `matrix.results.migrations` says how to change it."""

_CASE: Final = tuple(field.name for field in fields(Case))
"""Not `asdict`: that copies all findings first, and takes three times as long as the JSON."""


def record(kind: str, values: Mapping[str, Any]) -> str:
    """Returns a line of a results file: the record's `kind`, then `values` as JSON."""
    return json.dumps({"record": kind, **values}, ensure_ascii=True, allow_nan=False, default=vars)


def header_record(cell: Cell) -> str:
    """Returns the first line of a cell's file: everything known before its cases."""
    values = {name: value for name, value in vars(cell).items() if name not in ("cases", "complete", "timing")}
    return record("cell", {"schema": SCHEMA, **values})


def case_record(case: Case) -> str:
    """Returns the line of one case. A later line for the same case replaces an earlier one.

    The two dtypes follow from precision and configuration, for readers who do not know these words.
    """
    dtypes = {"trained_dtype": case.trained_dtype, "requested_dtype": case.requested_dtype}
    return record("case", {**dtypes, **{name: getattr(case, name) for name in _CASE}})


def end_record(cases: Iterable[Case], timing: Timing) -> str:
    """Returns the last line of a cell's file: without it the cell is incomplete."""
    return record("end", {"cases": len(list(cases)), **asdict(round_times(timing))})


def round_times(timing: Timing) -> Timing:
    """Returns `timing` rounded to the millisecond, for a record."""
    return Timing(*(round(value, 3) for value in astuple(timing)))

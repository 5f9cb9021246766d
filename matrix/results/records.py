"""The lines of a results file, as they are written; `matrix.results.store` reads them.

PURE: no input or output.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple
from typing import Any, Final

from matrix.model import Case, Cell, Timing

SCHEMA: Final = 1
"""What the records hold, by number: `matrix.results.migrations` says how to change it."""


def record(kind: str, values: Mapping[str, Any]) -> str:
    """One line of a results file: `values` as JSON behind the record's kind."""
    return json.dumps({"record": kind, **values}, ensure_ascii=True, allow_nan=False, default=vars)


def header_record(cell: Cell) -> str:
    """The first line of a cell's file: everything known before its cases."""
    values = {name: value for name, value in vars(cell).items() if name not in ("cases", "complete", "timing")}
    return record("cell", {"schema": SCHEMA, **values})


def case_record(case: Case) -> str:
    """One case as a line. A later line for the same case replaces an earlier one."""
    return record("case", asdict(case))


def end_record(cases: Iterable[Case], timing: Timing) -> str:
    """The last line of a cell's file: without it the cell is incomplete."""
    return record("end", {"cases": len(list(cases)), **asdict(rounded(timing))})


def rounded(timing: Timing) -> Timing:
    """Returns `timing` as a record has it, to the millisecond."""
    return Timing(*(round(value, 3) for value in astuple(timing)))

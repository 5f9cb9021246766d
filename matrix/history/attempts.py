"""Queries of an open history about who tried to measure what, and how long that took."""

import json
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Final

from matrix.errors import ResultsError
from matrix.history.database import History
from matrix.history.files import CellState
from matrix.history.queries import parse_header
from matrix.history.reader import unpack
from matrix.model import Cell


@dataclass(frozen=True)
class Attempt:
    """A planned measurement of a cell in a night: what became of it, with how many cases; `header` is a cell without any."""

    night: date
    state: CellState
    cases: int
    header: Cell
    path: str

    @property
    def begun(self) -> bool:
        """Whether a machine began to measure it."""
        return self.state is not CellState.INCOMPLETE or self.cases > 0


_ATTEMPTS: Final = """
SELECT name, night, state, cases, record, started, path FROM cell JOIN file ON file.id = cell.file
JOIN header ON header.id = cell.header JOIN environment ON environment.id = environment
ORDER BY name, night DESC
"""


def query_attempts(history: History) -> dict[str, tuple[Attempt, ...]]:
    """Returns the attempts at every cell, the newest first, by the cell's name."""
    found = (
        (name, Attempt(date.fromordinal(night), CellState(state), cases, parse_header(record, started), path))
        for name, night, state, cases, record, started, path in history.rows(_ATTEMPTS)
    )
    return {name: tuple(one for _, one in same) for name, same in groupby(found, key=lambda each: each[0])}


def read_duration(records: Path, attempt: Attempt) -> float:
    """Returns the seconds of a complete attempt, from its record file in the folder `records`; 0.0 when that is gone."""
    file = records / attempt.path
    try:
        end = json.loads(unpack(file.read_bytes(), file).splitlines()[-1])
        return float(end["seconds"])
    except (OSError, ResultsError, LookupError, TypeError, ValueError):
        return 0.0

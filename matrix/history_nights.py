"""What a history answers about its nights: who tried to measure what, how long that takes, and how verdicts went."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Final

from matrix.errors import ResultsError
from matrix.history import History, case_key
from matrix.history_queries import header_of
from matrix.history_records import State, unpacked
from matrix.model import CaseKey, Cell, Verdict


@dataclass(frozen=True)
class Attempt:
    """A night that wanted to measure a cell: what became of it, with how many cases; `header` is a cell without any."""

    night: date
    state: State
    cases: int
    header: Cell
    path: str

    @property
    def begun(self) -> bool:
        """Whether a machine came so far as to say something of it."""
        return self.state is not State.INCOMPLETE or self.cases > 0


_ATTEMPTS: Final = """
SELECT name, night, state, cases, record, started, path FROM cell JOIN file ON file.id = cell.file
JOIN header ON header.id = cell.header JOIN environment ON environment.id = environment
ORDER BY name, night DESC
"""


def attempts(history: History) -> dict[str, tuple[Attempt, ...]]:
    """The attempts at every cell, the newest first, by the cell's name."""
    told = (
        (name, Attempt(date.fromordinal(night), State(state), cases, header_of(record, started), path))
        for name, night, state, cases, record, started, path in history.rows(_ATTEMPTS)
    )
    return {name: tuple(one for _, one in same) for name, same in groupby(told, key=lambda each: each[0])}


def seconds(records: Path, attempt: Attempt) -> float:
    """How long a complete attempt took, from the end of its record file in the folder `records`; 0.0 when that is gone."""
    file = records / attempt.path
    try:
        end = json.loads(unpacked(file.read_bytes(), file).splitlines()[-1])
        return float(end["seconds"])
    except (OSError, ResultsError, LookupError, TypeError, ValueError):
        return 0.0


_COURSES: Final = """
SELECT name, architecture, loader, "check", night, verdict FROM change
JOIN environment ON environment.id = environment JOIN "key" ON "key".id = change."key"
WHERE (environment, "key") IN (SELECT environment, "key" FROM change GROUP BY 1, 2 HAVING count(*) > 1)
ORDER BY name, architecture, loader, "check", night
"""

Course = tuple[tuple[date, Verdict], ...]
"""The verdicts that a case had, each with the first night of it, the oldest first."""


def courses(history: History) -> Mapping[tuple[str, CaseKey], Course]:
    """The course of every case whose verdict ever changed, by the names of its cell and its own."""
    rows = history.rows(_COURSES)
    same = groupby(rows, key=lambda row: tuple(row[:4]))
    return {
        (name, case_key(names)): tuple((date.fromordinal(row[4]), Verdict(row[5])) for row in group)
        for (name, *names), group in same
    }

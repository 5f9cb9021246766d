"""What a history answers about its nights: who tried to measure what, how long that takes, and how verdicts went."""

import json
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Final

from matrix.errors import ResultsError
from matrix.history.database import History, case_key
from matrix.history.files import State, unpacked
from matrix.history.queries import days, header_of
from matrix.model import CaseKey, Cell
from matrix.verdicts import Verdict


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


MEASURED: Final = """
WITH newest AS (
    SELECT environment, coverage, max(night) AS night FROM cell
    WHERE coverage IS NOT NULL AND night <= :night GROUP BY environment, coverage),
measured AS (
    SELECT environment, "key", max(night) AS night FROM newest
    JOIN coverage ON coverage.id = newest.coverage GROUP BY environment, "key")
"""
"""The night that last measured each case, not after `:night`."""

_COURSES: Final = f"""{MEASURED}
SELECT name, architecture, loader, "check", change.night, change.verdict,
    (SELECT max(night) FROM cell WHERE environment = change.environment),
    (SELECT min(night) FROM cell
     WHERE environment = change.environment AND state = 'complete' AND night > measured.night)
FROM change JOIN measured ON measured.environment = change.environment AND measured."key" = change."key"
JOIN environment ON environment.id = change.environment JOIN "key" ON "key".id = change."key"
WHERE (change.environment, change."key") IN (SELECT environment, "key" FROM change GROUP BY 1, 2 HAVING count(*) > 1)
ORDER BY name, architecture, loader, "check", change.night
"""  # noqa: S608


Verdicts = tuple[tuple[date, Verdict], ...]
"""Verdicts, each with the first night of it, the oldest first."""


@dataclass(frozen=True)
class Course:
    """The `verdicts` that a case had.

    `ended` is the night since which nobody measures it any more, None while somebody does.
    """

    verdicts: Verdicts
    ended: date | None = None


def courses(history: History, idle: int) -> Mapping[tuple[str, CaseKey], Course]:
    """The course of every case whose verdict ever changed, by the names of its cell and its own.

    A case is not measured any more when a newer whole measurement of its environment leaves it out, or when more than
    `idle` nights in a row, the newest included, did not want to measure its environment.
    """
    tried_on = [night.toordinal() for night in days(history)]
    rows = history.rows(_COURSES, night=date.max.toordinal())
    same = groupby(rows, key=lambda row: (*row[:4], *row[6:]))
    return {
        (name, case_key(*names)): Course(
            tuple((date.fromordinal(row[4]), Verdict(row[5])) for row in group),
            _ended(tried_on[bisect(tried_on, tried) + idle :], left_out),
        )
        for (name, *names, tried, left_out), group in same
    }


def _ended(given_up: list[int], left_out: int | None) -> date | None:
    """The first of two nights: of those on which an environment counts as `given_up`, and when the case was left out."""
    found = [*given_up[:1], *([left_out] if left_out else [])]
    return date.fromordinal(min(found)) if found else None

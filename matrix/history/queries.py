"""Queries of an open history about its nightly runs and environments.

A day is the date of a nightly run; environments and files are identified by name.
"""

import json
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Final

from matrix.history.database import KEY_COLUMNS, History
from matrix.history.files import CellState
from matrix.history.reader import parse_case
from matrix.model import Case, Cell, Finding
from matrix.results.parse import validate_record
from matrix.results.read import assemble_cell


@dataclass(frozen=True)
class NightlyRun:
    """A nightly run and how many of its cells ended how; `rejected` counts files that are damaged or hold a cell again."""

    day: date
    complete: int
    failed: int
    incomplete: int
    rejected: int


@dataclass(frozen=True)
class KeptCell:
    """A cell of a nightly run: the record file it is in, and its `header`, a cell without its cases and times."""

    night: date
    path: str
    state: CellState
    cases: int
    header: Cell


@dataclass(frozen=True)
class MeasuredEnvironment:
    """An environment's newest cell, the newest that counts as measured, and the newest whole one, if there is one."""

    name: str
    newest: KeptCell
    measured: KeptCell | None
    complete: KeptCell | None


@dataclass(frozen=True)
class Evidence:
    """The newest measurement of a case, whole, and where it is from."""

    case: Case
    night: date
    path: str


@dataclass(frozen=True)
class RejectedFile:
    """A file of the history that does not count, and why."""

    path: str
    reason: str


def query_days(history: History, night: date = date.max) -> tuple[date, ...]:
    """Returns every night with a cell until `night`, the oldest first."""
    rows = history.rows("SELECT DISTINCT night FROM cell WHERE night <= :night ORDER BY night", night=night.toordinal())
    return tuple(date.fromordinal(day) for (day,) in rows)


_NIGHTS: Final = """
WITH bad AS (SELECT substr(path, 1, 10) AS day, count(*) AS files FROM rejected JOIN file ON file.id = file GROUP BY 1),
ended AS (SELECT night, sum(state = 'complete') AS complete, sum(state = 'failed') AS failed,
    sum(state = 'incomplete') AS incomplete, substr(path, 1, 10) AS day FROM cell JOIN file ON file.id = file GROUP BY night)
SELECT night, complete, failed, incomplete, coalesce(files, 0) FROM ended LEFT JOIN bad USING (day) ORDER BY night
"""


def query_nightly_runs(history: History) -> tuple[NightlyRun, ...]:
    """Returns every nightly run with a cell, the oldest first."""
    return tuple(NightlyRun(date.fromordinal(night), *counts) for night, *counts in history.rows(_NIGHTS))


def query_rejected_files(history: History) -> tuple[RejectedFile, ...]:
    """Returns every file that does not count, the oldest nightly run first."""
    rows = history.rows("SELECT path, reason FROM rejected JOIN file ON id = file ORDER BY id")
    return tuple(RejectedFile(*row) for row in rows)


_KEPT: Final = """
SELECT name, night, path, state, cases, record, started FROM cell JOIN file ON file.id = cell.file
JOIN header ON header.id = cell.header JOIN environment ON environment.id = environment
WHERE (environment, night) IN (SELECT environment, max(night) FROM cell WHERE night <= :night AND {} GROUP BY 1)
ORDER BY name
"""


def query_environments(history: History, night: date = date.max) -> tuple[MeasuredEnvironment, ...]:
    """Returns every environment as of a `night`, sorted by name."""
    conditions = ("true", "state <> 'incomplete'", "state = 'complete'")
    newest, measured, complete = (_kept(history, condition, night) for condition in conditions)
    return tuple(
        MeasuredEnvironment(name, kept, measured.get(name), complete.get(name)) for name, kept in newest.items()
    )


def _kept(history: History, condition: str, night: date) -> dict[str, KeptCell]:
    rows = history.rows(_KEPT.format(condition), night=night.toordinal())
    return {
        name: KeptCell(date.fromordinal(day), path, CellState(state), cases, parse_header(record, started))
        for name, day, path, state, cases, record, started in rows
    }


def parse_header(record: str, started: str) -> Cell:
    """Returns the cell of a row of the table `header`: one without cases and times."""
    return replace(_header(record), started=started)


@lru_cache(1024)  # most environments have the same for several questions
def _header(record: str) -> Cell:
    path = Path("header")
    return assemble_cell([validate_record(json.loads(record), path, 1)], path)


_EVIDENCE: Final = f"""
SELECT line, night, path FROM evidence JOIN cell USING (file) JOIN file ON file.id = evidence.file
JOIN "key" ON "key".id = evidence."key" WHERE evidence.environment = (SELECT id FROM environment WHERE name = :name)
ORDER BY {KEY_COLUMNS}
"""  # noqa: S608


def query_evidence(history: History, environment: str) -> tuple[Evidence, ...]:
    """Returns the newest measurement of each case of an environment, with its findings."""
    rows = history.rows(_EVIDENCE, name=environment)
    return tuple(Evidence(_parse(line), date.fromordinal(night), path) for line, night, path in rows)


def _parse(line: bytes) -> Case:
    case = parse_case(line)
    return replace(case, findings=_share(case.findings)) if case.findings else case


@lru_cache(10_000)  # environments have most of them in common: without that, they are most of a snapshot's memory
def _share(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Returns the first of equal findings."""
    return findings

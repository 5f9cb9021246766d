"""Queries of an open history about verdicts that changed."""

import json
from bisect import bisect
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Final

from matrix.history.database import KEY_COLUMNS, History, case_key
from matrix.history.queries import query_days
from matrix.model import CaseKey
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class VerdictChange:
    """A case whose verdict changed, last in `night`; `before` is None when it had not been measured."""

    environment: str
    key: CaseKey
    before: Verdict | None
    after: Verdict
    night: date


_NAMES: Final = f"name, {KEY_COLUMNS}"

_FIRST_NIGHTLY_RUNS: Final = """
SELECT environment, "key", max(night) FROM change WHERE night <= :night GROUP BY environment, "key"
"""


def query_first_nightly_runs(history: History, night: date = date.max) -> Mapping[str, Mapping[CaseKey, date]]:
    """Returns the first night of the verdict that each case has as of a `night`, by the names of the environments."""
    names: dict[int, str] = dict(history.rows("SELECT id, name FROM environment"))
    keys = history.rows(f'SELECT id, {KEY_COLUMNS} FROM "key"')  # noqa: S608
    key_of = {id_: case_key(*words) for id_, *words in keys}
    found: dict[str, dict[CaseKey, date]] = defaultdict(dict)
    for environment, key, day in history.rows(_FIRST_NIGHTLY_RUNS, night=night.toordinal()):
        found[names[environment]][key_of[key]] = date.fromordinal(day)
    return found


_CHANGES: Final = f"""
WITH touched AS (SELECT environment, "key", max(night) AS night FROM change
    WHERE night > :before AND night <= :after GROUP BY environment, "key")
SELECT {_NAMES}, (SELECT verdict FROM change WHERE environment = touched.environment AND "key" = touched."key"
    AND night <= :before ORDER BY night DESC LIMIT 1) AS earlier, change.verdict, touched.night
FROM touched JOIN change USING (environment, "key", night)
JOIN environment ON environment.id = touched.environment JOIN "key" ON "key".id = touched."key"
WHERE earlier IS NOT change.verdict ORDER BY {_NAMES}
"""  # noqa: S608


def query_changes(history: History, before: date, after: date) -> tuple[VerdictChange, ...]:
    """Returns every case that has another verdict as of `after` than as of `before`, sorted by name."""
    rows = history.rows(_CHANGES, before=before.toordinal(), after=after.toordinal())
    return tuple(
        VerdictChange(name, case_key(*names), earlier and Verdict(earlier), Verdict(verdict), date.fromordinal(night))
        for name, *names, earlier, verdict, night in rows
    )


_RETRACTED: Final = """
SELECT count(*) FROM (SELECT DISTINCT good.environment, good."key" FROM change AS good
JOIN change AS failing ON failing.environment = good.environment AND failing."key" = good."key" AND failing.night =
    (SELECT max(night) FROM change WHERE environment = good.environment AND "key" = good."key" AND night < good.night)
JOIN cell AS after ON after.environment = good.environment AND after.night = good.night
JOIN cell AS before ON before.environment = good.environment AND before.night =
    (SELECT max(night) FROM cell WHERE environment = good.environment AND coverage IS NOT NULL AND night < good.night)
JOIN header AS earlier ON earlier.id = before.header JOIN header AS later ON later.id = after.header
WHERE good.verdict = 'pass' AND failing.verdict NOT IN (SELECT value FROM json_each(:unmeasured))
    AND json_extract(earlier.record, '$.catalog', '$.probe', '$.environment.python', '$.environment.packages')
    = json_extract(later.record, '$.catalog', '$.probe', '$.environment.python', '$.environment.packages'))
"""


def count_retracted(history: History) -> int:
    """Returns how many cases failed, then passed with the same interpreter, packages, catalog and probe."""
    # A case that could not be measured has not failed, so passing later retracts nothing.
    unmeasured = json.dumps([verdict for verdict in Verdict if not verdict.row.measured])
    count: int = history.rows(_RETRACTED, unmeasured=unmeasured)[0][0]
    return count


MEASURED: Final = """
WITH newest AS (
    SELECT environment, coverage, max(night) AS night FROM cell
    WHERE coverage IS NOT NULL AND night <= :night GROUP BY environment, coverage),
measured AS (
    SELECT environment, "key", max(night) AS night FROM newest
    JOIN coverage ON coverage.id = newest.coverage GROUP BY environment, "key")
"""
"""The night that last measured each case, not after `:night`."""

_HISTORIES: Final = f"""{MEASURED}
SELECT {_NAMES}, change.night, change.verdict,
    (SELECT max(night) FROM cell WHERE environment = change.environment),
    (SELECT min(night) FROM cell
     WHERE environment = change.environment AND state = 'complete' AND night > measured.night)
FROM change JOIN measured ON measured.environment = change.environment AND measured."key" = change."key"
JOIN environment ON environment.id = change.environment JOIN "key" ON "key".id = change."key"
WHERE (change.environment, change."key") IN (SELECT environment, "key" FROM change GROUP BY 1, 2 HAVING count(*) > 1)
ORDER BY {_NAMES}, change.night
"""  # noqa: S608


Verdicts = tuple[tuple[date, Verdict], ...]
"""Verdicts, each with the first night of it, the oldest first."""


@dataclass(frozen=True)
class VerdictHistory:
    """The `verdicts` that a case had; `ended` is the first night that did not measure it any more, None while it is measured."""

    verdicts: Verdicts
    ended: date | None = None


def query_verdict_histories(history: History, idle: int) -> Mapping[tuple[str, CaseKey], VerdictHistory]:
    """Returns the verdicts of every case whose verdict ever changed, by the names of its cell and its own.

    A case is not measured any more when a newer whole measurement of its environment leaves it out, or when more than
    `idle` nightly runs in a row, the newest included, did not plan to measure its environment.
    """
    tried_on = [night.toordinal() for night in query_days(history)]
    rows = history.rows(_HISTORIES, night=date.max.toordinal())
    # A row is: cell, key, night, verdict, tried, left_out.
    same = groupby(rows, key=lambda row: (*row[:-4], *row[-2:]))
    return {
        (name, case_key(*names)): VerdictHistory(
            tuple((date.fromordinal(row[-4]), Verdict(row[-3])) for row in group),
            _ended(tried_on[bisect(tried_on, tried) + idle :], left_out),
        )
        for (name, *names, tried, left_out), group in same
    }


def _ended(given_up: list[int], left_out: int | None) -> date | None:
    """Returns the earlier of two dates: when the environment counts as `given_up`, and when a run left the case out."""
    found = [*given_up[:1], *([left_out] if left_out else [])]
    return date.fromordinal(min(found)) if found else None

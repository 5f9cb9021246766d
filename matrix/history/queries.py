"""What a history answers, each a function of an open one; days are nights, environments and paths go by their names."""

import json
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from matrix.history.database import VERSION, History, case_key
from matrix.history.files import State
from matrix.history.reader import case_in
from matrix.model import Case, CaseKey, Cell
from matrix.results.store import assembled, typed
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class Night:
    """A night and how many of its cells ended how; `refused` counts files that could not be read or were said twice."""

    day: date
    complete: int
    failed: int
    incomplete: int
    refused: int


@dataclass(frozen=True)
class Kept:
    """A cell of a night: the record file it is in, and its `header`, a cell without its cases and times."""

    night: date
    path: str
    state: State
    cases: int
    header: Cell


@dataclass(frozen=True)
class Environment:
    """An environment's newest cell, the newest that counts as measured, and the newest whole one, if there is one."""

    name: str
    newest: Kept
    measured: Kept | None
    complete: Kept | None


@dataclass(frozen=True)
class Mark:
    """One night of a case: its verdict and record file, both None when that night did not measure it."""

    night: date
    verdict: Verdict | None
    path: str | None


@dataclass(frozen=True)
class Transition:
    """A case whose verdict changed, last in `night`; `before` is None when it had not been measured."""

    environment: str
    key: CaseKey
    before: Verdict | None
    after: Verdict
    night: date


@dataclass(frozen=True)
class Evidence:
    """The newest measurement of a case, whole, and where it is from."""

    case: Case
    night: date
    path: str


@dataclass(frozen=True)
class Refused:
    """A file of the history that counts for nothing, and why."""

    path: str
    reason: str


def days(history: History, night: date = date.max) -> tuple[date, ...]:
    """Every night with a cell until `night`, the oldest first."""
    rows = history.rows("SELECT DISTINCT night FROM cell WHERE night <= :night ORDER BY night", night=night.toordinal())
    return tuple(date.fromordinal(day) for (day,) in rows)


_NIGHTS: Final = """
WITH bad AS (SELECT substr(path, 1, 10) AS day, count(*) AS files FROM refused JOIN file ON file.id = file GROUP BY 1),
told AS (SELECT night, sum(state = 'complete') AS complete, sum(state = 'failed') AS failed,
    sum(state = 'incomplete') AS incomplete, substr(path, 1, 10) AS day FROM cell JOIN file ON file.id = file GROUP BY night)
SELECT night, complete, failed, incomplete, coalesce(files, 0) FROM told LEFT JOIN bad USING (day) ORDER BY night
"""


def nights(history: History) -> tuple[Night, ...]:
    """Every night with a cell, the oldest first."""
    return tuple(Night(date.fromordinal(night), *counts) for night, *counts in history.rows(_NIGHTS))


def refused(history: History) -> tuple[Refused, ...]:
    """Every file that was not counted, in the order of nights."""
    rows = history.rows("SELECT path, reason FROM refused JOIN file ON id = file ORDER BY id")
    return tuple(Refused(*row) for row in rows)


_KEPT: Final = """
SELECT name, night, path, state, cases, record, started FROM cell JOIN file ON file.id = cell.file
JOIN header ON header.id = cell.header JOIN environment ON environment.id = environment
WHERE (environment, night) IN (SELECT environment, max(night) FROM cell WHERE night <= :night AND {} GROUP BY 1)
ORDER BY name
"""


def environments(history: History, night: date = date.max) -> tuple[Environment, ...]:
    """Every environment as of a `night`, sorted by name."""
    conditions = ("true", "state <> 'incomplete'", "state = 'complete'")
    newest, measured, complete = (_kept(history, condition, night) for condition in conditions)
    return tuple(Environment(name, kept, measured.get(name), complete.get(name)) for name, kept in newest.items())


def _kept(history: History, condition: str, night: date) -> dict[str, Kept]:
    rows = history.rows(_KEPT.format(condition), night=night.toordinal())
    return {
        name: Kept(date.fromordinal(day), path, State(state), cases, header_of(record, started))
        for name, day, path, state, cases, record, started in rows
    }


_RECORDS: Final = """
SELECT name, digest FROM cell JOIN file ON file.id = cell.file JOIN environment ON environment.id = environment
ORDER BY name, file.id
"""


def records(history: History) -> dict[str, str]:
    """A digest of the record files of each environment, of all its nights: it stands for what this version reads there."""
    same = groupby(history.rows(_RECORDS), key=lambda row: row[0])
    said = {name: b"".join(digest for _, digest in files) for name, files in same}
    return {name: sha256(b"%d" % VERSION + digests).hexdigest() for name, digests in said.items()}


def header_of(record: str, started: str) -> Cell:
    """The cell of a row of the table `header`: one without cases and times."""
    return replace(_header(record), started=started)


@lru_cache(1024)  # most environments have the same for several questions
def _header(record: str) -> Cell:
    path = Path("header")
    return assembled([typed(json.loads(record), path, 1)], path)


_NAMES: Final = 'name, architecture, loader, "check"'

_MEASURED_BY: Final = """
SELECT cell.night, path, coverage FROM cell JOIN file ON file.id = cell.file
WHERE environment = (SELECT id FROM environment WHERE name = :name) AND cell.night BETWEEN :first AND :last
"""

_COVERED: Final = """
SELECT "key", coverage.id FROM coverage WHERE id IN (SELECT coverage FROM cell
    WHERE environment = (SELECT id FROM environment WHERE name = :name) AND night BETWEEN :first AND :last)
ORDER BY "key"
"""

_COURSE: Final = """
SELECT id, architecture, loader, "check", night, verdict FROM change JOIN "key" ON "key".id = change."key"
WHERE environment = (SELECT id FROM environment WHERE name = :name) AND night <= :last
    AND (:architecture IS NULL OR architecture = :architecture) ORDER BY change."key", night
"""


_Paths = tuple[tuple[int, str | None], ...]
"""Nights, each with a record file."""


def strips(
    history: History, environment: str, nights: Sequence[date], *, architecture: str | None = None
) -> dict[CaseKey, tuple[Mark, ...]]:
    """What each of `nights`, some of `days` in a row, says of every case of an environment, the oldest first.

    A case that none of them measured has no strip.
    """
    if not nights:
        return {}
    ordinals = [night.toordinal() for night in nights]
    wanted = {"name": environment, "first": ordinals[0], "last": ordinals[-1]}
    cells = {day: (path, coverage) for day, path, coverage in history.rows(_MEASURED_BY, **wanted)}
    covered = groupby(history.rows(_COVERED, **wanted), itemgetter(0))
    within = {key: frozenset(coverage for _, coverage in rows) for key, rows in covered}
    paths = {coverages: _paths(ordinals, cells, coverages) for coverages in set(within.values())}  # a few
    courses = groupby(history.rows(_COURSE, architecture=architecture, **wanted), itemgetter(0, 1, 2, 3))
    return {
        case_key(*names): _strip(paths[within[key]], _course(rows, ordinals[0]))
        for (key, *names), rows in courses
        if key in within
    }


def _paths(days: Iterable[int], cells: Mapping[int, tuple[str, int]], coverages: frozenset[int]) -> _Paths:
    """Each of the `days` with the record file that measured what is in all `coverages`, None where none did."""
    found = ((day, *cells.get(day, ("", 0))) for day in days)
    return tuple((day, path if coverage in coverages else None) for day, path, coverage in found)


def _course(rows: Iterable[Sequence[Any]], first: int) -> tuple[tuple[int, str], ...]:
    """What became of a case, from the night `first` on."""
    return tuple({max(row[4], first): row[5] for row in rows}.items())


@lru_cache  # most cases of an environment had the same course
def _strip(days: _Paths, course: tuple[tuple[int, str], ...]) -> tuple[Mark, ...]:
    """The marks of a case, which was measured on those of the `days` that have a record file."""
    since, verdicts = [night for night, _ in course], [Verdict(verdict) for _, verdict in course]
    return tuple(
        Mark(date.fromordinal(day), verdicts[bisect(since, day) - 1] if path else None, path) for day, path in days
    )


_SINCE: Final = """
SELECT environment, "key", max(night) FROM change WHERE night <= :night GROUP BY environment, "key"
"""


def since(history: History, night: date = date.max) -> Mapping[str, Mapping[CaseKey, date]]:
    """The night since which each case has its verdict as of a `night`, by the names of the environments."""
    names: dict[int, str] = dict(history.rows("SELECT id, name FROM environment"))
    keys = history.rows('SELECT id, architecture, loader, "check" FROM "key"')
    key_of = {id_: case_key(*words) for id_, *words in keys}
    found: dict[str, dict[CaseKey, date]] = defaultdict(dict)
    for environment, key, day in history.rows(_SINCE, night=night.toordinal()):
        found[names[environment]][key_of[key]] = date.fromordinal(day)
    return found


_TRANSITIONS: Final = f"""
WITH touched AS (SELECT environment, "key", max(night) AS night FROM change
    WHERE night > :before AND night <= :after GROUP BY environment, "key")
SELECT {_NAMES}, (SELECT verdict FROM change WHERE environment = touched.environment AND "key" = touched."key"
    AND night <= :before ORDER BY night DESC LIMIT 1) AS earlier, change.verdict, touched.night
FROM touched JOIN change USING (environment, "key", night)
JOIN environment ON environment.id = touched.environment JOIN "key" ON "key".id = touched."key"
WHERE earlier IS NOT change.verdict ORDER BY {_NAMES}
"""  # noqa: S608


def transitions(history: History, before: date, after: date) -> tuple[Transition, ...]:
    """Every case whose standing `after` has another verdict than `before`, sorted by name."""
    rows = history.rows(_TRANSITIONS, before=before.toordinal(), after=after.toordinal())
    return tuple(
        Transition(name, case_key(*names), earlier and Verdict(earlier), Verdict(verdict), date.fromordinal(night))
        for name, *names, earlier, verdict, night in rows
    )


_WITHDRAWN: Final = """
SELECT count(*) FROM (SELECT DISTINCT good.environment, good."key" FROM change AS good
JOIN change AS red ON red.environment = good.environment AND red."key" = good."key" AND red.night =
    (SELECT max(night) FROM change WHERE environment = good.environment AND "key" = good."key" AND night < good.night)
JOIN cell AS after ON after.environment = good.environment AND after.night = good.night
JOIN cell AS before ON before.environment = good.environment AND before.night =
    (SELECT max(night) FROM cell WHERE environment = good.environment AND coverage IS NOT NULL AND night < good.night)
JOIN header AS earlier ON earlier.id = before.header JOIN header AS later ON later.id = after.header
WHERE good.verdict = 'pass' AND red.verdict NOT IN ('unsupported', 'environment')
    AND json_extract(earlier.record, '$.catalog', '$.probe', '$.environment.python', '$.environment.packages')
    = json_extract(later.record, '$.catalog', '$.probe', '$.environment.python', '$.environment.packages'))
"""


def withdrawn(history: History) -> int:
    """How many cases were red once, then passed with the very same interpreter, packages, catalog and probe."""
    count: int = history.rows(_WITHDRAWN)[0][0]
    return count


_EVIDENCE: Final = """
SELECT line, night, path FROM evidence JOIN cell USING (file) JOIN file ON file.id = evidence.file
JOIN "key" ON "key".id = evidence."key" WHERE evidence.environment = (SELECT id FROM environment WHERE name = :name)
    AND (:architecture IS NULL OR architecture = :architecture) ORDER BY architecture, loader, "check"
"""


def evidence(history: History, environment: str, *, architecture: str | None = None) -> tuple[Evidence, ...]:
    """The newest measurement of each case of an environment with its findings; `strips` names the files of earlier ones."""
    rows = history.rows(_EVIDENCE, name=environment, architecture=architecture)
    return tuple(Evidence(case_in(line), date.fromordinal(night), path) for line, night, path in rows)

"""Queries of an open history about the verdicts of a case over time."""

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from matrix.history.database import KEY_COLUMNS, History, case_key
from matrix.model import CaseKey
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class NightlyVerdict:
    """The verdict and record file of a case in one nightly run, both None when that run did not measure it."""

    night: date
    verdict: Verdict | None
    path: str | None


_MEASURED_BY: Final = """
SELECT cell.night, path, coverage FROM cell JOIN file ON file.id = cell.file
WHERE environment = (SELECT id FROM environment WHERE name = :name) AND cell.night BETWEEN :first AND :last
"""

_COVERED: Final = """
SELECT "key", coverage.id FROM coverage WHERE id IN (SELECT coverage FROM cell
    WHERE environment = (SELECT id FROM environment WHERE name = :name) AND night BETWEEN :first AND :last)
ORDER BY "key"
"""

_CHANGES: Final = f"""
SELECT id, {KEY_COLUMNS}, night, verdict FROM change JOIN "key" ON "key".id = change."key"
WHERE environment = (SELECT id FROM environment WHERE name = :name) AND night <= :last
ORDER BY change."key", night
"""  # noqa: S608


_Paths = tuple[tuple[int, str | None], ...]
"""Dates of nightly runs, each with a record file."""


def query_case_histories(
    history: History, environment: str, nights: Sequence[date]
) -> dict[CaseKey, tuple[NightlyVerdict, ...]]:
    """Returns what each of `nights`, some in a row, says of every case of an environment, the oldest first.

    A case that none of them measured is left out.
    """
    if not nights:
        return {}
    ordinals = [night.toordinal() for night in nights]
    wanted = {"name": environment, "first": ordinals[0], "last": ordinals[-1]}
    cells = {day: (path, coverage) for day, path, coverage in history.rows(_MEASURED_BY, **wanted)}
    covered = groupby(history.rows(_COVERED, **wanted), itemgetter(0))
    within = {key: frozenset(coverage for _, coverage in rows) for key, rows in covered}
    # Cases with the same coverages share one tuple of paths: without that, thousands of equal ones are made.
    paths = {coverages: _paths(ordinals, cells, coverages) for coverages in set(within.values())}  # a few
    changes = groupby(history.rows(_CHANGES, **wanted), itemgetter(slice(0, -2)))
    return {
        case_key(*names): _nightly_verdicts(paths[within[key]], _changes_since(rows, ordinals[0]))
        for (key, *names), rows in changes
        if key in within
    }


def _paths(days: Iterable[int], cells: Mapping[int, tuple[str, int]], coverages: frozenset[int]) -> _Paths:
    """Returns each of the `days` with the record file that measured what is in all `coverages`, None where none did."""
    found = ((day, *cells.get(day, ("", 0))) for day in days)
    return tuple((day, path if coverage in coverages else None) for day, path, coverage in found)


def _changes_since(rows: Iterable[Sequence[Any]], first: int) -> tuple[tuple[int, str], ...]:
    """Returns the verdicts of a case from the night `first` on, each with its first night."""
    return tuple({max(row[-2], first): row[-1] for row in rows}.items())


@lru_cache  # most cases of an environment had the same history
def _nightly_verdicts(days: _Paths, changes: tuple[tuple[int, str], ...]) -> tuple[NightlyVerdict, ...]:
    """Returns the nightly verdicts of a case, which was measured on those of the `days` that have a record file."""
    since, verdicts = [night for night, _ in changes], [Verdict(verdict) for _, verdict in changes]
    return tuple(
        NightlyVerdict(date.fromordinal(day), verdicts[bisect(since, day) - 1] if path else None, path)
        for day, path in days
    )

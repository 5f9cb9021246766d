"""The types of a snapshot: every environment of a history, or of a run, with its newest measurement and dates."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Final

from matrix.history.changes import VerdictChange
from matrix.history.files import CellState
from matrix.model import Case, CaseKey, Cell, Run
from matrix.verdicts import Verdict

SHOWN: Final = timedelta(days=400)
"""For how long an environment is shown after the last night that planned to measure it; its records are kept for ever.

Its pages are 2 MB with 150 architectures, and GitHub Pages publishes 1 GB."""

TRUSTED: Final = timedelta(days=45)
"""For how long a measurement is trusted. Nightly runs measure everything again within 30 days; two weeks of them may fail."""

Pair = tuple[str, str]
"""Versions of transformers and deepspeed."""


class Stale(StrEnum):
    """Why the results of an environment may be out of date."""

    UNFINISHED = "unfinished"
    """The newest night that planned to measure it did not finish."""
    FAILED = "failed"
    """It could not be installed or imported the last time; its verdicts are older."""
    OUTDATED = "outdated"
    """Measured with another catalog or probe than the newest measurement of the snapshot."""
    OLD = "old"
    """Measured longer before the newest night than TRUSTED: nightly runs do not measure it any more."""


@dataclass(frozen=True)
class DatedCase:
    """A case as it was last measured, in `night`; it has this verdict `since`."""

    case: Case
    night: date
    since: date


@dataclass(frozen=True)
class Reading:
    """An environment, with each case as it was last measured."""

    cell: Cell
    """The newest measurement that counts."""
    night: date
    """The date of `cell`."""
    attempt: date
    """The date of the newest nightly run that planned to measure it."""
    state: CellState
    """How `attempt` ended."""
    cases: Mapping[CaseKey, DatedCase]
    """Without those that a newer whole measurement left out. A measurement that failed leaves the earlier cases in place."""
    stale: frozenset[Stale] = frozenset()

    @property
    def pair(self) -> Pair:
        """The versions that a user pins."""
        return self.cell.environment.transformers, self.cell.environment.deepspeed

    @cached_property
    def keys_of(self) -> Mapping[str, Sequence[CaseKey]]:
        """The keys of the cases of each architecture."""
        found: dict[str, list[CaseKey]] = defaultdict(list)
        for key in self.cases:
            found[key.architecture].append(key)
        return dict(found)

    @cached_property
    def flaky(self) -> int:
        """How many percent of all its cases are flaky, rounded down."""
        verdicts = [dated.case.verdict for dated in self.cases.values()]
        return 100 * verdicts.count(Verdict.FLAKY) // max(1, len(verdicts))


@dataclass(frozen=True)
class Snapshot:
    """Every environment as of `night`, the newest; `changes` are the cases that had another verdict the night before."""

    night: date
    readings: tuple[Reading, ...]
    changes: tuple[VerdictChange, ...] = ()

    @property
    def run(self) -> Run:
        """The newest measurements as a run."""
        return Run(tuple(reading.cell for reading in self.readings))


def is_too_old(night: date, today: date) -> bool:
    """Returns whether a measurement of `night` is not trusted any more `today`."""
    return today - night > TRUSTED

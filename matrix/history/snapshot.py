"""What a history says now: every environment's newest measurement, whole, with dates. A run's folder makes a board too."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Final

from matrix.history.database import History
from matrix.history.files import State
from matrix.history.queries import (
    Environment,
    Kept,
    Transition,
    days,
    environments,
    evidence,
    records,
    since,
    transitions,
)
from matrix.model import Case, CaseKey, Cell, Run
from matrix.verdicts import Verdict

SHOWN: Final = timedelta(days=400)
"""For how long an environment is told of after the last night that wanted to measure it; its records stay for good.

Its pages are 3.5 MB with 150 architectures, and GitHub Pages publishes 1 GB."""

TRUSTED: Final = timedelta(days=45)
"""For how long a measurement is relied on. The nights measure everything again within 30 days; two weeks may go wrong."""

Pair = tuple[str, str]
"""Versions of transformers and deepspeed."""


class Stale(StrEnum):
    """Why what is known of an environment may not be so any more."""

    UNFINISHED = "unfinished"
    """The newest night wanted to measure it and did not get to its end."""
    FAILED = "failed"
    """It could not be installed or imported the last time; older verdicts are of when it could."""
    OUTDATED = "outdated"
    """Measured with another catalog or probe than the newest measurement of the board."""
    OLD = "old"
    """Measured longer before the newest night of the board than TRUSTED: the nights do not measure it any more."""


@dataclass(frozen=True)
class Dated:
    """A case as it was last measured, in `night`; it has this verdict `since`."""

    case: Case
    night: date
    since: date


@dataclass(frozen=True)
class Reading:
    """An environment: its newest measurement that counts, `cell`, of `night`, with each case as it was last measured.

    `attempt` is the newest night that wanted to measure it, and `state` what became of that. A case that a newer whole
    measurement left out says nothing any more; after one that failed, the cases are those of before. Without any
    measurement that counts, there are none. `records` is a digest of all record files of a history's environment.
    """

    cell: Cell
    night: date
    attempt: date
    state: State
    cases: Mapping[CaseKey, Dated]
    stale: frozenset[Stale] = frozenset()
    records: str = ""

    @property
    def pair(self) -> Pair:
        """What a user pins."""
        return self.cell.environment.transformers, self.cell.environment.deepspeed

    @cached_property
    def flaky(self) -> int:
        """How many percent of all its cases are flaky, rounded down."""
        verdicts = [dated.case.verdict for dated in self.cases.values()]
        return 100 * verdicts.count(Verdict.FLAKY) // max(1, len(verdicts))


@dataclass(frozen=True)
class Board:
    """Every environment as of `night`, the newest; `changes` are the cases whose verdict is another than the night before."""

    night: date
    readings: tuple[Reading, ...]
    changes: tuple[Transition, ...] = ()

    @property
    def run(self) -> Run:
        """The newest measurements as a run."""
        return Run(tuple(reading.cell for reading in self.readings))


def too_old(night: date, today: date) -> bool:
    """Whether what was measured in `night` is not relied on any more `today`."""
    return today - night > TRUSTED


def board(history: History, night: date = date.max) -> Board:
    """The board of `history` as of a `night`; without any night in it, one of `date.min` without readings.

    What no night wanted to measure for longer than SHOWN is left out.
    """
    known = days(history, night)
    if not known:
        return Board(date.min, ())
    before = known[-2] if len(known) > 1 else date.min
    shown = (found for found in environments(history, known[-1]) if known[-1] - found.newest.night <= SHOWN)
    begun, digests = since(history, known[-1]), records(history)
    readings = (replace(_reading(history, one, begun.get(one.name, {})), records=digests[one.name]) for one in shown)
    changes = transitions(history, before, known[-1]) if len(known) > 1 else ()
    return Board(known[-1], _with_old(_with_outdated(readings), known[-1]), changes)


def board_of(run: Run) -> Board:
    """The board of one run: each of its cells was measured on the day it started."""
    readings = [_lone(cell) for cell in run.cells]
    newest = max((reading.night for reading in readings), default=date.min)
    return Board(newest, _with_old(_with_outdated(readings), newest))


def _lone(cell: Cell) -> Reading:
    day = date.fromisoformat(cell.started[:10])
    cases = {case.key: Dated(case, day, day) for case in cell.cases}
    return Reading(cell, day, day, State.of(cell), cases, _stale(State.of(cell)))


def _reading(history: History, environment: Environment, begun: Mapping[CaseKey, date]) -> Reading:
    """What is known of an `environment`, whose cases have `begun` to have their verdicts in those nights."""
    measured = environment.measured or environment.newest
    whole = environment.complete.night if environment.complete else date.min
    cases = {
        found.case.key: Dated(found.case, found.night, begun[found.case.key])
        for found in evidence(history, environment.name)
        if found.case.key in begun and found.night >= whole
    }
    cell = _cell(measured, [dated.case for dated in cases.values()])
    newest = environment.newest
    return Reading(cell, measured.night, newest.night, newest.state, cases, _stale(newest.state))


def _cell(kept: Kept, cases: list[Case]) -> Cell:
    return replace(kept.header, cases=tuple(cases), complete=kept.state is State.COMPLETE)


def _stale(state: State) -> frozenset[Stale]:
    found = {State.INCOMPLETE: {Stale.UNFINISHED}, State.FAILED: {Stale.FAILED}}.get(state, set())
    return frozenset(found)


def _with_outdated(readings: Iterable[Reading]) -> tuple[Reading, ...]:
    """The readings, those marked that were measured with another catalog or probe than the newest of them."""
    known = list(readings)
    newest = max((r for r in known if r.state is State.COMPLETE), key=lambda r: r.cell.started, default=None)
    if newest is None:
        return tuple(known)
    inputs = (newest.cell.catalog, newest.cell.probe)
    return tuple(
        reading
        if (reading.cell.catalog, reading.cell.probe) == inputs
        else replace(reading, stale=reading.stale | {Stale.OUTDATED})
        for reading in known
    )


def _with_old(readings: Iterable[Reading], night: date) -> tuple[Reading, ...]:
    """The readings, those marked that are too old in `night`."""
    return tuple(
        replace(reading, stale=reading.stale | {Stale.OLD}) if too_old(reading.night, night) else reading
        for reading in readings
    )

"""Takes snapshots: of a history, or of one run."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date

from matrix.history.changes import query_changes, query_first_nightly_runs
from matrix.history.database import History
from matrix.history.files import CellState
from matrix.history.queries import KeptCell, MeasuredEnvironment, query_days, query_environments, query_evidence
from matrix.history.snapshot import SHOWN, DatedCase, Reading, Snapshot, Stale, is_too_old
from matrix.model import Case, CaseKey, Cell, Run


def take_snapshot(history: History, night: date = date.max) -> Snapshot:
    """Returns the snapshot of a `history` as of a `night`; without any night in it, an empty one of `date.min`.

    What no night planned to measure for longer than SHOWN is left out.
    """
    known = query_days(history, night)
    if not known:
        return Snapshot(date.min, ())
    before = known[-2] if len(known) > 1 else date.min
    shown = (found for found in query_environments(history, known[-1]) if known[-1] - found.newest.night <= SHOWN)
    begun = query_first_nightly_runs(history, known[-1])
    readings = (_reading(history, one, begun.get(one.name, {})) for one in shown)
    changes = query_changes(history, before, known[-1]) if len(known) > 1 else ()
    return Snapshot(known[-1], _with_old(_with_outdated(readings), known[-1]), changes)


def snapshot_of_run(run: Run) -> Snapshot:
    """Returns the snapshot of one run, each of whose cells was measured on the day it started."""
    readings = [_lone(cell) for cell in run.cells]
    newest = max((reading.night for reading in readings), default=date.min)
    return Snapshot(newest, _with_old(_with_outdated(readings), newest))


def _lone(cell: Cell) -> Reading:
    day = date.fromisoformat(cell.started[:10])
    cases = {case.key: DatedCase(case, day, day) for case in cell.cases}
    return Reading(cell, day, day, CellState.of(cell), cases, _stale(CellState.of(cell)))


def _reading(history: History, environment: MeasuredEnvironment, begun: Mapping[CaseKey, date]) -> Reading:
    """Returns the reading of an `environment`; `begun` has the first night of the verdict of each case."""
    measured = environment.measured or environment.newest
    whole = environment.complete.night if environment.complete else date.min
    cases = {
        found.case.key: DatedCase(found.case, found.night, begun[found.case.key])
        for found in query_evidence(history, environment.name)
        if found.case.key in begun and found.night >= whole
    }
    cell = _cell(measured, [dated.case for dated in cases.values()])
    newest = environment.newest
    return Reading(cell, measured.night, newest.night, newest.state, cases, _stale(newest.state))


def _cell(kept: KeptCell, cases: list[Case]) -> Cell:
    return replace(kept.header, cases=tuple(cases), complete=kept.state is CellState.COMPLETE)


def _stale(state: CellState) -> frozenset[Stale]:
    found = {CellState.INCOMPLETE: {Stale.UNFINISHED}, CellState.FAILED: {Stale.FAILED}}.get(state, set())
    return frozenset(found)


def _with_outdated(readings: Iterable[Reading]) -> tuple[Reading, ...]:
    """Marks the readings that were measured with another catalog or probe than the newest of them."""
    known = list(readings)
    newest = max((r for r in known if r.state is CellState.COMPLETE), key=lambda r: r.cell.started, default=None)
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
    """Marks the readings that are too old in `night`."""
    return tuple(
        replace(reading, stale=reading.stale | {Stale.OLD}) if is_too_old(reading.night, night) else reading
        for reading in readings
    )

"""Decides which cells a nightly run measures and why, why not the others, and on which machine.

A cell is measured when its inputs changed since its newest attempt (`bot.nightly.input_changes`), when that attempt was not
completed, and when it was measured long ago: what nobody pins (accelerate, tokenizers ...) changes as well.

PURE: no input or output.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from heapq import heapify, heapreplace
from itertools import takewhile
from math import ceil
from typing import Final

from bot.nightly.candidates import filter_environments
from bot.nightly.input_changes import Digests, find_input_changes
from matrix.environments.spec import Environment
from matrix.history.attempts import Attempt
from matrix.history.files import CellState
from matrix.model import Device
from matrix.nightly.plan import NightlyCell, NightlyPlan, Reason

RETRIES: Final = 2
"""How many runs in a row try again what could not be measured; after that it is tried once in `PAUSE`."""

PAUSE: Final = timedelta(days=7)
SPARE: Final = 2
"""Runs that may be missed before a cell is older than it should be."""


@dataclass(frozen=True)
class NightlyRequest:
    """What is asked of a nightly run that is planned at `moment` (UTC).

    It measures environments that match `globs`, with `force` all of them. Each cell has `cases` cases and is not to be
    older than `oldest` days. At most `shards` machines with `device` share the work.
    """

    moment: datetime
    device: Device
    digests: Digests
    cases: int
    shards: int
    oldest: int
    globs: tuple[str, ...] = ()
    force: bool = False

    @property
    def night(self) -> date:
        """The day that the records are kept under."""
        return self.moment.date()


@dataclass(frozen=True)
class PastRuns:
    """What the history has of each cell: the attempts, the newest first, and the seconds that the last complete one took."""

    attempts: Mapping[str, Sequence[Attempt]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SkippedCell:
    """A cell that is not measured, and why. `since` is the day of the run that measured it, None where none could."""

    name: str
    words: str
    since: date | None = None


@dataclass(frozen=True)
class PlannedRun:
    """A nightly run: what is measured, what is not, and which questions got no answer."""

    plan: NightlyPlan
    skipped: tuple[SkippedCell, ...]
    problems: tuple[str, ...]


def plan_nightly_run(
    environments: Sequence[Environment], past: PastRuns, asked: NightlyRequest, problems: tuple[str, ...] = ()
) -> PlannedRun:
    """Plans what to measure of `environments`; raises UnknownNameError for a glob that matches none of them."""
    chosen = {environment.id: environment for environment in filter_environments(environments, asked.globs)}
    judged = [_decide(one, past.attempts.get(f"{name}+{asked.device}", ()), asked) for name, one in chosen.items()]
    cells = [one for one in judged if isinstance(one, NightlyCell)]
    skipped = [one for one in judged if isinstance(one, SkippedCell)]
    old = _find_old(skipped, asked)
    cells += [NightlyCell("", chosen[one.name], Reason.OLD, one.words) for one in skipped if one in old]
    seconds = {name: past.seconds.get(f"{name}+{asked.device}", 0.0) for name in chosen}
    return PlannedRun(
        _build_plan(spread_over_shards(cells, asked.shards, seconds), asked),
        tuple(s for s in skipped if s not in old),
        problems,
    )


def _build_plan(cells: tuple[NightlyCell, ...], asked: NightlyRequest) -> NightlyPlan:
    moment, digests = asked.moment.strftime("%Y-%m-%dT%H:%M:%SZ"), asked.digests
    return NightlyPlan(asked.night, moment, asked.device, digests.catalog, digests.probe, asked.cases, cells)


def _decide(environment: Environment, attempts: Sequence[Attempt], asked: NightlyRequest) -> NightlyCell | SkippedCell:
    if not attempts:
        return NightlyCell("", environment, Reason.NEW)
    if asked.force:
        return NightlyCell("", environment, Reason.ASKED)
    newest = attempts[0]
    if different := find_input_changes(environment, newest.header, asked.digests):
        return NightlyCell("", environment, Reason.CHANGED, "; ".join(different))
    if newest.state is CellState.COMPLETE:
        return SkippedCell(environment.id, f"nothing changed since {newest.night}", newest.night)
    return _decide_retry(environment, attempts, asked)


def _decide_retry(
    environment: Environment, attempts: Sequence[Attempt], asked: NightlyRequest
) -> NightlyCell | SkippedCell:
    """Decides whether to try again what the newest attempt did not complete. What no machine began has cost nothing yet."""
    newest = attempts[0]
    why = Reason.FAILED if newest.state is CellState.FAILED else Reason.UNFINISHED
    failed = list(takewhile(lambda one: one.state is not CellState.COMPLETE, attempts))
    tried = [one for one in failed if one.begun and not find_input_changes(environment, one.header, asked.digests)]
    words = f"tried {len(tried)} times without success, last on {newest.night}"
    if not newest.begun or len(tried) <= RETRIES or asked.night - newest.night >= PAUSE:
        return NightlyCell("", environment, why, words if newest.begun else f"no machine started it on {newest.night}")
    return SkippedCell(environment.id, f"{words}; next try on {newest.night + PAUSE}")


def _find_old(skipped: Sequence[SkippedCell], asked: NightlyRequest) -> frozenset[SkippedCell]:
    """Returns what is measured although nothing changed: whatever is too old, and the oldest few of the others.

    They are so many that every cell is measured within `oldest` days, even when some runs are missed.
    """
    measured = sorted((one for one in skipped if one.since), key=lambda one: (one.since, one.name))
    share = ceil(len(measured) / max(1, asked.oldest - SPARE))
    late = asked.night - timedelta(days=asked.oldest)
    before = [one for one in measured if one.since and one.since < asked.night]
    return frozenset([*before[:share], *(one for one in before if one.since and one.since <= late)])


def spread_over_shards(
    cells: Sequence[NightlyCell], shards: int, seconds: Mapping[str, float]
) -> tuple[NightlyCell, ...]:
    """Returns `cells` with a shard each: at most `shards` machines, done at about the same time, the most urgent first.

    A cell whose seconds are unknown (0.0) counts as the longest known one.
    """
    unknown = max(seconds.values(), default=0.0) or 1.0
    weights = {cell.environment.id: seconds.get(cell.environment.id, 0.0) or unknown for cell in cells}
    machines = [(0.0, f"shard-{number:03d}") for number in range(1, min(shards, len(cells)) + 1)]
    heapify(machines)
    return tuple(sorted(_deal(cells, weights, machines), key=lambda cell: (cell.shard, cell.why.rank)))


def _deal(
    cells: Sequence[NightlyCell], weights: Mapping[str, float], machines: list[tuple[float, str]]
) -> Iterator[NightlyCell]:
    """Yields each cell, the longest first, with the machine that has the least to do."""
    for cell in sorted(cells, key=lambda one: (-weights[one.environment.id], one.environment.id)):
        load, shard = machines[0]
        heapreplace(machines, (load + weights[cell.environment.id], shard))
        yield replace(cell, shard=shard)

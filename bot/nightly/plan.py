"""PURE. Which cells a night measures and why, why not the others, and on which machine.

A cell is measured when its inputs are others than those of its newest attempt (`bot.nightly.input_changes`), when that did not get
to its end, and when it has not been looked at for long: what nobody pins (accelerate, tokenizers ...) changes as well.

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
from matrix.history.files import State
from matrix.model import Device
from matrix.nightly.plan import NightlyCell, NightlyPlan, Reason

RETRIES: Final = 2
"""How many nights in a row try again what could not be measured; from then on it is tried once in `PAUSE`."""

PAUSE: Final = timedelta(days=7)
SPARE: Final = 2
"""Nights that may be missed before a cell is older than it should be."""


@dataclass(frozen=True)
class NightlyRequest:
    """What is wanted of a night that is planned at `moment` (UTC): only environments that match `globs`, all by `force`.

    A cell has so many `cases`. None shall be older than `oldest` days. At most `shards` machines with `device` share the work.
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
    """What the history knows of each cell: the attempts, the newest first, and the seconds that it took the last time."""

    attempts: Mapping[str, Sequence[Attempt]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SkippedCell:
    """A cell that is not measured, and why; `since` is the night that measured it, None where none could."""

    name: str
    words: str
    since: date | None = None


@dataclass(frozen=True)
class PlannedRun:
    """A night: what is measured, what is not, and what could not be found out."""

    plan: NightlyPlan
    skipped: tuple[SkippedCell, ...]
    problems: tuple[str, ...]


def plan_nightly_run(
    environments: Sequence[Environment], past: PastRuns, asked: NightlyRequest, problems: tuple[str, ...] = ()
) -> PlannedRun:
    """What to measure of `environments`; raises UnknownNameError for a glob that matches none of them."""
    chosen = {environment.id: environment for environment in filter_environments(environments, asked.globs)}
    judged = [_judged(one, past.attempts.get(f"{name}+{asked.device}", ()), asked) for name, one in chosen.items()]
    cells = [one for one in judged if isinstance(one, NightlyCell)]
    skipped = [one for one in judged if isinstance(one, SkippedCell)]
    old = _old(skipped, asked)
    cells += [NightlyCell("", chosen[one.name], Reason.OLD, one.words) for one in skipped if one in old]
    seconds = {name: past.seconds.get(f"{name}+{asked.device}", 0.0) for name in chosen}
    return PlannedRun(
        _night_plan(spread_over_shards(cells, asked.shards, seconds), asked),
        tuple(s for s in skipped if s not in old),
        problems,
    )


def _night_plan(cells: tuple[NightlyCell, ...], asked: NightlyRequest) -> NightlyPlan:
    moment, digests = asked.moment.strftime("%Y-%m-%dT%H:%M:%SZ"), asked.digests
    return NightlyPlan(asked.night, moment, asked.device, digests.catalog, digests.probe, asked.cases, cells)


def _judged(environment: Environment, attempts: Sequence[Attempt], asked: NightlyRequest) -> NightlyCell | SkippedCell:
    if not attempts:
        return NightlyCell("", environment, Reason.NEW)
    if asked.force:
        return NightlyCell("", environment, Reason.ASKED)
    newest = attempts[0]
    if different := find_input_changes(environment, newest.header, asked.digests):
        return NightlyCell("", environment, Reason.CHANGED, "; ".join(different))
    if newest.state is State.COMPLETE:
        return SkippedCell(environment.id, f"the same as on {newest.night}", newest.night)
    return _again(environment, attempts, asked)


def _again(environment: Environment, attempts: Sequence[Attempt], asked: NightlyRequest) -> NightlyCell | SkippedCell:
    """Whether to try once more what the newest attempt did not get to its end. What no machine began costs nothing yet."""
    newest = attempts[0]
    why = Reason.FAILED if newest.state is State.FAILED else Reason.UNFINISHED
    in_vain = list(takewhile(lambda one: one.state is not State.COMPLETE, attempts))
    tried = [one for one in in_vain if one.begun and not find_input_changes(environment, one.header, asked.digests)]
    words = f"tried {len(tried)} times in vain, last on {newest.night}"
    if not newest.begun or len(tried) <= RETRIES or asked.night - newest.night >= PAUSE:
        return NightlyCell("", environment, why, words if newest.begun else f"no machine began it on {newest.night}")
    return SkippedCell(environment.id, f"{words}; tried again on {newest.night + PAUSE}")


def _old(skipped: Sequence[SkippedCell], asked: NightlyRequest) -> frozenset[SkippedCell]:
    """What is measured although nothing changed: whatever is too old, and of the others each night the oldest few.

    As many that within `oldest` days, some missed nights included, it is everybody's turn.
    """
    measured = sorted((one for one in skipped if one.since), key=lambda one: (one.since, one.name))
    share = ceil(len(measured) / max(1, asked.oldest - SPARE))
    late = asked.night - timedelta(days=asked.oldest)
    before = [one for one in measured if one.since and one.since < asked.night]
    return frozenset([*before[:share], *(one for one in before if one.since and one.since <= late)])


def spread_over_shards(
    cells: Sequence[NightlyCell], shards: int, seconds: Mapping[str, float]
) -> tuple[NightlyCell, ...]:
    """`cells` on at most `shards` machines that are done at about the same time, each with the most urgent first.

    A cell whose seconds are not known (0.0) counts as the longest that is.
    """
    unknown = max(seconds.values(), default=0.0) or 1.0
    weights = {cell.environment.id: seconds.get(cell.environment.id, 0.0) or unknown for cell in cells}
    machines = [(0.0, f"shard-{number:03d}") for number in range(1, min(shards, len(cells)) + 1)]
    heapify(machines)
    return tuple(sorted(_dealt(cells, weights, machines), key=lambda cell: (cell.shard, cell.why.rank)))


def _dealt(
    cells: Sequence[NightlyCell], weights: Mapping[str, float], machines: list[tuple[float, str]]
) -> Iterator[NightlyCell]:
    """Each cell, the longest first, on the machine that has the least to do."""
    for cell in sorted(cells, key=lambda one: (-weights[one.environment.id], one.environment.id)):
        load, shard = machines[0]
        heapreplace(machines, (load + weights[cell.environment.id], shard))
        yield replace(cell, shard=shard)

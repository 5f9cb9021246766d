"""PURE. Which cells a night measures and why, why not the others, and on which machine.

A cell is measured when its inputs are others than those of its newest attempt (`bot.nightly.inputs`), when that did not get
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

from bot.nightly.candidates import matching
from bot.nightly.inputs import Digests, changes
from matrix.environments.spec import Environment
from matrix.history.attempts import Attempt
from matrix.history.files import State
from matrix.model import Device
from matrix.nightly.plan import NightCell, NightPlan, Why

RETRIES: Final = 2
"""How many nights in a row try again what could not be measured; from then on it is tried once in `PAUSE`."""

PAUSE: Final = timedelta(days=7)
SPARE: Final = 2
"""Nights that may be missed before a cell is older than it should be."""


@dataclass(frozen=True)
class Asked:
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
class Past:
    """What the history knows of each cell: the attempts, the newest first, and the seconds that it took the last time."""

    attempts: Mapping[str, Sequence[Attempt]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Skipped:
    """A cell that is not measured, and why; `since` is the night that measured it, None where none could."""

    name: str
    words: str
    since: date | None = None


@dataclass(frozen=True)
class Night:
    """A night: what is measured, what is not, and what could not be found out."""

    plan: NightPlan
    skipped: tuple[Skipped, ...]
    problems: tuple[str, ...]


def plan(environments: Sequence[Environment], past: Past, asked: Asked, problems: tuple[str, ...] = ()) -> Night:
    """What to measure of `environments`; raises UnknownNameError for a glob that matches none of them."""
    chosen = {environment.id: environment for environment in matching(environments, asked.globs)}
    judged = [_judged(one, past.attempts.get(f"{name}+{asked.device}", ()), asked) for name, one in chosen.items()]
    cells = [one for one in judged if isinstance(one, NightCell)]
    skipped = [one for one in judged if isinstance(one, Skipped)]
    old = _old(skipped, asked)
    cells += [NightCell("", chosen[one.name], Why.OLD, one.words) for one in skipped if one in old]
    seconds = {name: past.seconds.get(f"{name}+{asked.device}", 0.0) for name in chosen}
    return Night(
        _night_plan(sharded(cells, asked.shards, seconds), asked), tuple(s for s in skipped if s not in old), problems
    )


def _night_plan(cells: tuple[NightCell, ...], asked: Asked) -> NightPlan:
    moment, digests = asked.moment.strftime("%Y-%m-%dT%H:%M:%SZ"), asked.digests
    return NightPlan(asked.night, moment, asked.device, digests.catalog, digests.probe, asked.cases, cells)


def _judged(environment: Environment, attempts: Sequence[Attempt], asked: Asked) -> NightCell | Skipped:
    if not attempts:
        return NightCell("", environment, Why.NEW)
    if asked.force:
        return NightCell("", environment, Why.ASKED)
    newest = attempts[0]
    if different := changes(environment, newest.header, asked.digests):
        return NightCell("", environment, Why.CHANGED, "; ".join(different))
    if newest.state is State.COMPLETE:
        return Skipped(environment.id, f"the same as on {newest.night}", newest.night)
    return _again(environment, attempts, asked)


def _again(environment: Environment, attempts: Sequence[Attempt], asked: Asked) -> NightCell | Skipped:
    """Whether to try once more what the newest attempt did not get to its end. What no machine began costs nothing yet."""
    newest = attempts[0]
    why = Why.FAILED if newest.state is State.FAILED else Why.UNFINISHED
    in_vain = list(takewhile(lambda one: one.state is not State.COMPLETE, attempts))
    tried = [one for one in in_vain if one.begun and not changes(environment, one.header, asked.digests)]
    words = f"tried {len(tried)} times in vain, last on {newest.night}"
    if not newest.begun or len(tried) <= RETRIES or asked.night - newest.night >= PAUSE:
        return NightCell("", environment, why, words if newest.begun else f"no machine began it on {newest.night}")
    return Skipped(environment.id, f"{words}; tried again on {newest.night + PAUSE}")


def _old(skipped: Sequence[Skipped], asked: Asked) -> frozenset[Skipped]:
    """What is measured although nothing changed: whatever is too old, and of the others each night the oldest few.

    As many that within `oldest` days, some missed nights included, it is everybody's turn.
    """
    measured = sorted((one for one in skipped if one.since), key=lambda one: (one.since, one.name))
    share = ceil(len(measured) / max(1, asked.oldest - SPARE))
    late = asked.night - timedelta(days=asked.oldest)
    before = [one for one in measured if one.since and one.since < asked.night]
    return frozenset([*before[:share], *(one for one in before if one.since and one.since <= late)])


def sharded(cells: Sequence[NightCell], shards: int, seconds: Mapping[str, float]) -> tuple[NightCell, ...]:
    """`cells` on at most `shards` machines that are done at about the same time, each with the most urgent first.

    A cell whose seconds are not known (0.0) counts as the longest that is.
    """
    unknown = max(seconds.values(), default=0.0) or 1.0
    weights = {cell.environment.id: seconds.get(cell.environment.id, 0.0) or unknown for cell in cells}
    machines = [(0.0, f"shard-{number:03d}") for number in range(1, min(shards, len(cells)) + 1)]
    heapify(machines)
    return tuple(sorted(_dealt(cells, weights, machines), key=lambda cell: (cell.shard, cell.why.rank)))


def _dealt(
    cells: Sequence[NightCell], weights: Mapping[str, float], machines: list[tuple[float, str]]
) -> Iterator[NightCell]:
    """Each cell, the longest first, on the machine that has the least to do."""
    for cell in sorted(cells, key=lambda one: (-weights[one.environment.id], one.environment.id)):
        load, shard = machines[0]
        heapreplace(machines, (load + weights[cell.environment.id], shard))
        yield replace(cell, shard=shard)

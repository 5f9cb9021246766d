"""Computes what a benchmark reaches, from its launches."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from matrix.errors import ResultsError
from matrix.model import Case, CaseKey, Cell, Timing
from matrix.process.messages import Message
from matrix.verdicts import Verdict

SEED: Final = 45402
SPEED_UP, FLOORS, MEMORY_GB, DEFAULT_SET_MINUTES = 15.0, 2.0, 3.0, 15.0


@dataclass(frozen=True)
class Goal:
    """A measured `value` in `unit` and the `limit` that it must not exceed, or must reach with `at_least`."""

    name: str
    value: float
    limit: float
    unit: str = "x"
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the value is on the right side of the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def wanted(self) -> str:
        """The limit in words."""
        return f"{'at least' if self.at_least else 'at most'} {self.limit:g} {self.unit}"


@dataclass(frozen=True)
class Launch:
    """One process tree from start to end: `wall` seconds as the host sees them, the probe's own account in `timing`.

    `verdicts` counts the cases; `passed` and `loaded` name the architectures: all cases pass, or at least load.
    """

    name: str
    wall: float
    timing: Timing
    verdicts: Mapping[str, int]
    passed: tuple[str, ...]
    loaded: tuple[str, ...]
    environment: Mapping[str, Any]

    @property
    def floor(self) -> float:
        """Seconds that cannot be saved: one import of the packages, and upstream's own loading and saving."""
        return self.timing.import_seconds + self.timing.load_seconds

    @property
    def floors(self) -> float:
        """How many times its floor the launch took."""
        return self.wall / self.floor if self.floor else float("inf")


def parse_launch(name: str, wall: float, messages: Iterable[Message]) -> Launch:
    """Returns the launch that printed `messages`; the last message of a case counts."""
    cases: dict[CaseKey, Case] = {}
    others: Message = {}
    for message in messages:
        if "case" in message:
            cases[message["case"].key] = message["case"]
        else:
            others.update(message)
    by_architecture: dict[str, list[Verdict]] = {}
    for case in cases.values():
        by_architecture.setdefault(case.architecture, []).append(case.verdict)
    verdicts = [verdict for found in by_architecture.values() for verdict in found]
    return Launch(
        name=name,
        wall=wall,
        timing=others.get("end", Timing()),
        verdicts={verdict: verdicts.count(verdict) for verdict in Verdict if verdict in verdicts},
        passed=tuple(sorted(a for a, found in by_architecture.items() if set(found) == {Verdict.PASS})),
        loaded=tuple(sorted(a for a, found in by_architecture.items() if Verdict.UNSUPPORTED not in found)),
        environment=vars(others["environment"]) if "environment" in others else {},
    )


def sample_passed(passed: Sequence[str], count: int) -> list[str]:
    """Returns up to `count` of the architectures that passed, the same for every run of the same catalog."""
    return random.Random(SEED).sample(sorted(passed), min(count, len(passed)))


def compute_goals(load: Launch, full: Launch, singles: Sequence[Launch]) -> list[Goal]:
    """Computes what the cells `load` and `full` reach, next to launches of single architectures that do the check of `load`."""
    per_launch = median(single.wall for single in singles)
    speed_up = per_launch / (load.wall / len(load.loaded))
    memory = max(load.timing.rss_mb, full.timing.rss_mb) / 1024
    return [
        Goal("speed-up over one launch per architecture", speed_up, SPEED_UP, at_least=True),
        Goal(f"cell over its floor, {load.name}", load.floors, FLOORS),
        Goal(f"cell over its floor, {full.name}", full.floors, FLOORS),
        Goal("peak memory of a rank", memory, MEMORY_GB, "GiB"),
    ]


def sum_set(cells: Iterable[Cell], wanted: Sequence[str], folder: Path) -> Goal:
    """Returns the minutes that the cells of the environments `wanted` took, without their installation.

    Raises ResultsError about `folder`, which holds the cells, unless all are there and complete.
    """
    found = {cell.environment.id.rpartition("+")[0]: cell for cell in cells if cell.complete and not cell.error}
    if missing := [name for name in wanted if name not in found]:
        raise ResultsError(folder, f"no complete results of {', '.join(missing)}")
    minutes = sum(found[name].timing.seconds for name in wanted) / 60
    return Goal(f"default set, from the results in {folder}", minutes, DEFAULT_SET_MINUTES, "min")

"""The benchmark: ratios of times within one run, each against the goal that it has to meet."""

import json
import os
import platform
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from rich.table import Table

from matrix.checks import CHECKS
from matrix.environments.packages import RECORDED
from matrix.environments.spec import Environment
from matrix.errors import EnvironmentFailedError, ProbeDiedError, ResultsError
from matrix.job import Job
from matrix.measure.cell import measure
from matrix.measure.probe_process import last_line, run_job
from matrix.measure.request import Progress, Request
from matrix.measure.tasks import plan
from matrix.model import Architecture, Case, CaseKey, Cell, Check, Device, Loader, Timing
from matrix.process.messages import Message
from matrix.verdicts import Verdict

SEED: Final = 45402
FIRST: Final = next(iter(CHECKS))
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

    `verdicts` counts the cases; `passed` and `loaded` name the architectures: all cases green, or at least loadable.
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


def launched(name: str, wall: float, messages: Iterable[Message]) -> Launch:
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


def chosen(passed: Sequence[str], count: int) -> list[str]:
    """Up to `count` of the architectures that passed, the same for every run of the same catalog."""
    return random.Random(SEED).sample(sorted(passed), min(count, len(passed)))


def goals(load: Launch, full: Launch, singles: Sequence[Launch]) -> list[Goal]:
    """What the cells `load` and `full` reach, next to launches of single architectures that do the check of `load`."""
    per_launch = median(single.wall for single in singles)
    speed_up = per_launch / (load.wall / len(load.loaded))
    memory = max(load.timing.rss_mb, full.timing.rss_mb) / 1024
    return [
        Goal("speed-up over one launch per architecture", speed_up, SPEED_UP, at_least=True),
        Goal(f"cell over its floor, {load.name}", load.floors, FLOORS),
        Goal(f"cell over its floor, {full.name}", full.floors, FLOORS),
        Goal("most memory of a rank", memory, MEMORY_GB, "GiB"),
    ]


def summed_set(cells: Iterable[Cell], wanted: Sequence[str], folder: Path) -> Goal:
    """The minutes that the cells of the environments `wanted` took, without their installation.

    Raises ResultsError about `folder`, which holds the cells, unless all are there and complete.
    """
    found = {cell.environment.id.rpartition("+")[0]: cell for cell in cells if cell.complete and not cell.error}
    if missing := [name for name in wanted if name not in found]:
        raise ResultsError(folder, f"no complete results of {', '.join(missing)}")
    minutes = sum(found[name].timing.seconds for name in wanted) / 60
    return Goal(f"default set, the cells of {folder}", minutes, DEFAULT_SET_MINUTES, "min")


@dataclass(frozen=True)
class Bench:
    """Where and what to measure: `out` gets the logs, `progress` is told what goes on."""

    interpreter: Path
    architectures: tuple[Architecture, ...]
    device: Device
    out: Path
    progress: Progress
    world_size: int = 2

    def launch(self, name: str, job: Job) -> Launch:
        """Run `job` once; raises EnvironmentFailedError or ProbeDiedError when it comes to no end."""
        self.progress.step(f"measuring {name}")
        log = self.out / "bench.log"
        started = time.perf_counter()
        with closing(run_job(job, self.interpreter, log)) as stream:
            messages = list(stream)
        wall = time.perf_counter() - started
        if failure := next((message["failure"] for message in messages if "failure" in message), None):
            raise EnvironmentFailedError(str(self.interpreter), f"{failure.type}: {failure.message}")
        if not messages or "end" not in messages[-1]:
            raise ProbeDiedError(name, log, last_line(log))
        return launched(name, wall, messages)

    def _job(self, architectures: Sequence[Architecture], loaders: Sequence[Loader], checks: Sequence[Check]) -> Job:
        return Job(tuple(architectures), plan(architectures, loaders, checks), self.device, self.world_size)

    def cell(self, name: str, loaders: Sequence[Loader], checks: Sequence[Check]) -> Launch:
        """The whole catalog in one warm process."""
        return self.launch(name, self._job(self.architectures, loaders, checks))

    def single(self, architecture: str) -> Launch:
        """Does what `cell` does with one architecture, the stock loader and the first check."""
        one = [entry for entry in self.architectures if entry.id == architecture]
        job = self._job(one, [Loader.STOCK], [FIRST])
        return self.launch(f"launch of {architecture}", job)


def measure_goals(bench: Bench, sample: int) -> tuple[list[Launch], list[Goal]]:
    """Every launch of the benchmark, and what it comes to; `sample` architectures are launched singly.

    Raises EnvironmentFailedError when none passes the check that the launches have to do.
    """
    load = bench.cell(f"cell, stock, {FIRST}", [Loader.STOCK], [FIRST])
    if not load.passed:
        raise EnvironmentFailedError(str(bench.interpreter), "no architecture passes, so there is nothing to compare")
    singles = [bench.single(architecture) for architecture in chosen(load.passed, sample)]
    full = bench.cell(f"cell, both loaders, {' and '.join(CHECKS)}", list(Loader), list(CHECKS))
    return [load, *singles, full], goals(load, full, singles)


def measured_set(environments: Sequence[Environment], bench: Bench) -> Goal:
    """Install the environments from the package caches and measure each, as the default command does."""
    tasks = plan(bench.architectures, list(Loader), list(CHECKS))
    started = time.perf_counter()
    with TemporaryDirectory(prefix="set-", dir=bench.out) as name:
        folder = Path(name)
        requests = [
            Request(folder, tasks, environment=e, venv=folder / e.id, device=bench.device) for e in environments
        ]
        cells = [measure(request, bench.progress) for request in requests]
        summed_set(cells, [e.id for e in environments], folder)
    minutes = (time.perf_counter() - started) / 60
    return Goal("default set, installed and measured now", minutes, DEFAULT_SET_MINUTES, "min")


def machine(environment: Mapping[str, Any]) -> dict[str, str]:
    """What the numbers were measured on: hardware, ranks and the versions of the measured environment."""
    versions = ("python", *RECORDED)
    return {
        "system": f"{platform.system()} {platform.release()}",
        "hardware": str(environment.get("hardware", platform.machine())),
        "cores": str(len(os.sched_getaffinity(0))),
        "ranks": f"{environment.get('world_size', '')} {environment.get('backend', '')}".strip(),
        **{name: str(environment.get(name, "")) for name in versions},
    }


def as_json(described: Mapping[str, str], launches: Sequence[Launch], reached: Sequence[Goal]) -> str:
    """Everything measured, for programs."""
    return json.dumps(
        {
            "machine": dict(described),
            "goals": [{**asdict(goal), "met": goal.met} for goal in reached],
            "launches": [
                {
                    "name": launch.name,
                    "wall": launch.wall,
                    **asdict(launch.timing),
                    "architectures": len(launch.loaded),
                    "verdicts": dict(launch.verdicts),
                }
                for launch in launches
            ],
        },
        indent=1,
    )


def goals_table(reached: Sequence[Goal]) -> Table:
    """The goals for people."""
    table = Table("goal", "measured", "wanted", "")
    for goal in reached:
        words, style = ("met", "green") if goal.met else ("missed", "bold red")
        table.add_row(goal.name, f"{goal.value:.2f} {goal.unit}", goal.wanted, f"[{style}]{words}[/]")
    return table


def launches_table(launches: Sequence[Launch]) -> Table:
    """Where the time went, for people; seconds."""
    table = Table("launch", "wall", "imports", "load and save", "MiB of a rank", "verdicts")
    for launch in launches:
        timing = launch.timing
        parts = [f"{value:.1f}" for value in (launch.wall, timing.import_seconds, timing.load_seconds)]
        shown = parts if timing.seconds else [parts[0], "", ""]
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in launch.verdicts.items())
        table.add_row(launch.name, *shown, f"{timing.rss_mb:.0f}" if timing.seconds else "", verdicts)
    return table

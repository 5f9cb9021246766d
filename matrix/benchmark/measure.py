"""Measures the launches of a benchmark: the whole catalog in one warm process, and single architectures."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from matrix.benchmark.goals import (
    DEFAULT_SET_MINUTES,
    Goal,
    Launch,
    compute_goals,
    parse_launch,
    sample_passed,
    sum_set,
)
from matrix.checks import CHECKS, DEFAULT, Axes
from matrix.environments.spec import Environment
from matrix.errors import EnvironmentFailedError, ProbeDiedError
from matrix.job import Job
from matrix.measure.cell import measure
from matrix.measure.probe_process import last_line, run_job
from matrix.measure.request import Progress, Request
from matrix.measure.selection import choose_architectures, choose_effort
from matrix.measure.sparing import measure_sparingly
from matrix.measure.tasks import plan_tasks
from matrix.model import Architecture, Cell, Device, Loader, Precision

FIRST: Final = next(iter(CHECKS))
SMALLEST: Final = Axes((Loader.STOCK,), (FIRST,), (Precision.FLOAT32,))


@dataclass(frozen=True)
class Bench:
    """Where and what to measure: `out` gets the logs, `progress` shows what goes on."""

    interpreter: Path
    architectures: tuple[Architecture, ...]
    device: Device
    out: Path
    progress: Progress
    world_size: int = 2

    def launch(self, name: str, job: Job) -> Launch:
        """Runs `job` once; raises EnvironmentFailedError or ProbeDiedError when it does not finish."""
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
        return parse_launch(name, wall, messages)

    def _job(self, architectures: Sequence[Architecture], axes: Axes) -> Job:
        return Job(tuple(architectures), plan_tasks(architectures, axes), self.device, self.world_size)

    def cell(self, name: str, axes: Axes) -> Launch:
        """Measures the whole catalog in one warm process."""
        return self.launch(name, self._job(self.architectures, axes))

    def single(self, architecture: str) -> Launch:
        """Does what `cell` does with one architecture, the stock loader and the first check."""
        one = [entry for entry in self.architectures if entry.id == architecture]
        job = self._job(one, SMALLEST)
        return self.launch(f"launch of {architecture}", job)


def measure_goals(bench: Bench, sample: int) -> tuple[list[Launch], list[Goal]]:
    """Runs every launch of the benchmark and computes its goals; `sample` architectures are launched singly.

    Raises EnvironmentFailedError when none passes the check that the launches have to do.
    """
    load = bench.cell(f"cell, stock, {FIRST}", SMALLEST)
    if not load.passed:
        raise EnvironmentFailedError(str(bench.interpreter), "no architecture passes, so there is nothing to compare")
    singles = [bench.single(architecture) for architecture in sample_passed(load.passed, sample)]
    full = bench.cell(f"cell, both loaders, {' and '.join(DEFAULT.checks)}", Axes(precisions=SMALLEST.precisions))
    return [load, *singles, full], compute_goals(load, full, singles)


def measure_set(environments: Sequence[Environment], bench: Bench) -> Goal:
    """Installs the environments from the package caches and measures each, as the default command does."""
    started = time.perf_counter()
    with TemporaryDirectory(prefix="set-", dir=bench.out) as name:
        folder = Path(name)
        cells = [_measure(one, environments[0], folder, bench) for one in environments]
        sum_set(cells, [e.id for e in environments], folder)
    minutes = (time.perf_counter() - started) / 60
    return Goal("default set, installed and measured now", minutes, DEFAULT_SET_MINUTES, "min")


def _measure(environment: Environment, newest: Environment, folder: Path, bench: Bench) -> Cell:
    effort = choose_effort(environment, newest, bench.device)
    architectures = choose_architectures([], "auto", bench.device, environment.transformers)
    tasks = plan_tasks(architectures, Axes(precisions=effort.precisions))
    request = Request(folder, tasks, environment, venv=folder / environment.id, device=bench.device)
    request = replace(request, confirmations=effort.confirmations)
    return (measure_sparingly if effort.sparing else measure)(request, bench.progress)

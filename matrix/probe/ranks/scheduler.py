"""Schedules a job: fixtures first, then every task on a worker's rank groups, then reruns of failing cases."""

import gc
import itertools
import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from matrix.checks import CHECKS
from matrix.job import Job, Task
from matrix.model import Architecture, Case, CaseKey, Check, Failure, Precision
from matrix.probe.checkpoint.baseline import build_fixtures
from matrix.probe.checkpoint.fixture import Fixture, describe_tensors, fixture_folder
from matrix.probe.checks.verdicts import confirm, foresee_cases, judge_task, remove_foreseen
from matrix.probe.ranks.group import Group, StartError, reap_leaving
from matrix.probe.ranks.ipc import Channel, Child, fork, map_in_processes, merge_channels
from matrix.probe.ranks.processors import count_builders
from matrix.probe.ranks.shared import add_shared, share_loaders
from matrix.probe.tiny import recipes
from matrix.probe.trials.plain import build_trial, describe_expected
from matrix.verdicts import Verdict

Emit = Callable[[dict[str, Any]], None]

WORKERS = 3
"""How many work at the same time. Ranks wait for each other about half of the time: two workers leave 2 cores idle."""

_describe_tensors, _describe_expected = cache(describe_tensors), cache(describe_expected)

Key = tuple[str, Precision, str]
"""An architecture, the dtype that it is loaded in, and `Fixture.check`."""
Fixtures = dict[Key, Fixture]


def _own_check(task: Task) -> str:
    """Returns the check of a task that makes models of its own; empty for all others."""
    return next((check for check in task.checks if CHECKS[check].trial), "")


def _key(task: Task) -> Key:
    return (*task.fixture, _own_check(task))


def _requested(job: Job) -> dict[str, list[Precision]]:
    """Returns the dtypes that each architecture is loaded in."""
    found: dict[str, dict[Precision, None]] = {architecture.id: {} for architecture in job.architectures}
    for task in job.tasks:
        found[task.architecture][task.requested] = None
    return {name: list(precisions) or [Precision.FLOAT32] for name, precisions in found.items()}


def _trials(job: Job) -> dict[str, list[Check]]:
    """Returns the checks of each architecture that make models of their own."""
    found: dict[str, dict[Check, None]] = {architecture.id: {} for architecture in job.architectures}
    for task in job.tasks:
        found[task.architecture].update({check: None for check in task.checks if CHECKS[check].trial})
    return {name: list(checks) for name, checks in found.items()}


def prepare_fixtures(job: Job, root: Path, emit: Emit, builders: int) -> Fixtures:
    """Builds every fixture in that many processes; one that ends its builder twice is `baseline_broken`.

    Once somebody else may have ended it.
    """
    fixtures: Fixtures = {}
    requested, done = _requested(job), itertools.count(1)

    def build(architecture: Architecture) -> dict[str, Any]:
        # What a builder left that was ended.
        shutil.rmtree(fixture_folder(root, architecture.id), ignore_errors=True)
        return {"fixtures": list(map(asdict, build_fixtures(architecture, root, requested[architecture.id])))}

    def keep(architecture: Architecture, answer: dict[str, Any] | None) -> None:
        name = architecture.id
        broken = [Fixture(name, precision, Verdict.BASELINE_BROKEN, died) for precision in requested[name]]
        built = map(Fixture.from_dict, answer["fixtures"]) if answer else broken
        fixtures.update({(name, fixture.requested, fixture.check): fixture for fixture in built})
        emit({"progress": "fixture", "done": next(done), "of": len(job.architectures), "at": name})

    died = Failure(
        "BuilderDied", f"the plain load failed: its process ended early, or it took longer than {job.timeout:.0f} s"
    )
    ended = []
    for architecture, answer in map_in_processes(job.architectures, build, builders, job.timeout):
        if answer:
            keep(architecture, answer)
        else:
            ended.append(architecture)
    for architecture, answer in map_in_processes(ended, build, builders, job.timeout):
        keep(architecture, answer)
    _tell_alike(fixtures, emit)
    return fixtures | prepare_trials(job, root, fixtures, builders)


def prepare_trials(job: Job, root: Path, shared: Fixtures, builders: int) -> Fixtures:
    """Builds the fixtures of checks that make models of their own, after those that are `shared`, each by itself.

    So none takes another one's time, or ends its process.
    """
    wanted = _trials(job)
    items = [(architecture, check) for architecture in job.architectures for check in wanted[architecture.id]]

    def of(architecture: Architecture) -> list[Fixture]:
        return [fixture for fixture in shared.values() if fixture.architecture == architecture.id]

    def build(item: tuple[Architecture, Check]) -> dict[str, Any]:
        architecture, check = item
        return {"fixtures": list(map(asdict, build_trial(architecture, root, of(architecture), check)))}

    fixtures: Fixtures = {}
    died = Failure("BuilderDied", f"its process ended early, or it took longer than {job.timeout:.0f} s")
    for (architecture, check), answer in map_in_processes(items, build, builders, job.timeout):
        broken = [replace(one, verdict=Verdict.BASELINE_BROKEN, error=died, check=check) for one in of(architecture)]
        built = map(Fixture.from_dict, answer["fixtures"]) if answer else broken
        fixtures.update({(architecture.id, fixture.requested, check): fixture for fixture in built})
    return fixtures


def _tell_alike(fixtures: Fixtures, emit: Emit) -> None:
    """Counts, and names in the log, the tensors that could be swapped without anybody seeing it."""
    alike = {fixture.architecture: fixture.alike for fixture in fixtures.values() if fixture.alike}
    for architecture, names in sorted(alike.items()):
        sys.stderr.write(f"{architecture}: their dtype has too few values to tell them apart: {', '.join(names)}\n")
    if alike:
        emit({"remark": f"tensors that cannot be told apart: {sum(map(len, alike.values()))}; the log names them"})


@dataclass
class Worker:
    """Does tasks on rank groups. A group serves until something goes wrong in it; then a spare takes over."""

    job: Job
    root: Path
    fixtures: Fixtures
    shared: frozenset[CaseKey]
    rss_mb: float = 0.0
    _ready: deque[Group] = field(default_factory=deque)

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, list[Case]]]:
        """Yields the cases of each task once they are decided. Every call works with groups of its own."""
        try:
            for position, task in enumerate(tasks):
                group = self._group(len(tasks) - position)
                yield task, self._decide(task, group)
                self.rss_mb = max(self.rss_mb, group.rss_mb)
        finally:
            while self._ready:
                self._ready.popleft().close()
            reap_leaving(wait=True)

    def _group(self, tasks_left: int) -> Group:
        """Returns the group to use next, and starts a spare: joining takes a rank seconds on a GPU."""
        if self._ready and not self._ready[0].alive:
            self._ready.popleft()
        while len(self._ready) < min(2, tasks_left):
            self._ready.append(Group(self.job, self.root))
        return self._ready[0]

    def _decide(self, task: Task, group: Group) -> list[Case]:
        started = time.perf_counter()
        observation = group.run(task)
        name, requested, own = key = _key(task)
        tensors = (
            _describe_expected(self.root, name, own, requested)
            if own
            else _describe_tensors(self.root, name, requested)
        )
        decided = judge_task(task, observation, self.fixtures[key], tensors)
        seconds = round(time.perf_counter() - started, 4)
        return [case if case.seconds else replace(case, seconds=seconds) for case in decided]


def _emit_cases(decided: Iterable[Case], emit: Emit) -> None:
    for case in decided:
        emit({"case": asdict(case)})


def _run_until_believed(worker: Worker, tasks: Sequence[Task], emit: Emit) -> float:
    """Runs all tasks once, then the failing ones until they are believed. Returns the seconds spent loading."""
    runs: dict[CaseKey, list[Case]] = {}
    for _ in range(1 + worker.job.confirmations):
        failing = []
        for task, decided in worker.run(tasks):
            for case in decided:
                runs.setdefault(case.key, []).append(case)
            seen = [confirm(runs[case.key]) for case in decided]
            _emit_cases(add_shared(seen, worker.shared), emit)
            checks = tuple(case.check for case in seen if not case.believed(worker.job.confirmations))
            failing += [replace(task, checks=checks)] if checks else []
        # Other neighbours in a rerun: a verdict that depends on what ran before it shows as flaky.
        tasks = failing[::-1]
    return sum(case.load_seconds for cases_of_one in runs.values() for case in cases_of_one)


def _work(worker: Worker, tasks: Sequence[Task], channel: Channel) -> None:
    """Does `tasks` in a forked process with the worker's groups, and sends the cases on `channel`.

    Imports the models of no other worker: whenever one is built, deepspeed patches every module class that there is.
    """
    mine = {task.architecture for task in tasks}
    recipes.import_classes(architecture for architecture in worker.job.architectures if architecture.id in mine)
    # Frozen objects are not visited in the forked ranks, whose pages then stay shared with this process.
    gc.collect()
    gc.freeze()
    try:
        loading = _run_until_believed(worker, tasks, channel.send)
    except StartError as error:
        channel.send({"unable": asdict(error.failure)})
    else:
        channel.send({"worker": {"load_seconds": loading, "rss_mb": worker.rss_mb}})


def _shares(tasks: Sequence[Task]) -> list[list[Task]]:
    """Returns the tasks of each worker, all of one architecture in the same."""
    names = list(dict.fromkeys(task.architecture for task in tasks))
    return [[task for task in tasks if task.architecture in names[number::WORKERS]] for number in range(WORKERS)]


def _collect(workers: list[Child], emit: Emit) -> list[dict[str, float]]:
    """Passes on what the workers send, until all have ended, and returns what each measured of itself."""
    measured = []
    for message in merge_channels([worker.channel for worker in workers]):
        if "unable" in message:
            raise StartError(Failure(**message["unable"]))
        if "worker" in message:
            measured.append(message["worker"])
        else:
            emit(message)
    # The end of a channel comes before the end of its process, and an unwaited child stays a zombie.
    for worker in workers:
        worker.channel.close()
        os.waitpid(worker.pid, 0)
    if len(measured) < len(workers):
        raise RuntimeError("a worker ended early")
    return measured


def run_job(job: Job, root: Path, emit: Emit) -> dict[str, float]:
    """Does the whole job, emitting each case once it is decided. Returns seconds and megabytes for the benchmark.

    `load_seconds` is the time inside from_pretrained and save_pretrained on the longest path: the slowest worker's,
    after the slower builder's.
    """
    builders = count_builders()
    fixtures = prepare_fixtures(job, root, emit, builders)
    for task in job.tasks:
        _emit_cases(foresee_cases(task, fixtures[_key(task)]), emit)
    left = [remove_foreseen(task, fixtures[_key(task)]) for task in job.tasks]
    tasks, shared = share_loaders([task for task in left if task.checks])
    worker = Worker(job, root, fixtures, shared)
    workers = [fork(partial(_work, worker, share)) for share in _shares(tasks) if share]
    measured = _collect(workers, emit)
    # Builders share the fixtures evenly enough; the workers start when the last one is done.
    building = sum(fixture.load_seconds for fixture in fixtures.values()) / min(
        builders, max(1, len(job.architectures))
    )
    loading = max((one["load_seconds"] for one in measured), default=0.0)
    return {"load_seconds": building + loading, "rss_mb": max((one["rss_mb"] for one in measured), default=0.0)}

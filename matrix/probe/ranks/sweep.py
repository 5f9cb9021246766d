"""The zygote's work: fixtures, then every task through rank groups, then reruns of what was red."""

import gc
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from matrix.job import Job, Task
from matrix.model import Architecture, Case, CaseKey, Failure
from matrix.probe import compat as eras
from matrix.probe.checkpoint.control import build_fixture
from matrix.probe.checkpoint.fixture import Fixture, described
from matrix.probe.checks.verdicts import cases, confirm, ready, undecided
from matrix.probe.ranks.group import Group, StartError, reap_leaving
from matrix.probe.ranks.ipc import Channel, Child, each, fork, merged
from matrix.verdicts import Verdict

Tell = Callable[[dict[str, Any]], None]

LANES = 3
"""Sweeps that go on side by side. Ranks wait for each other about half of the time: two lanes leave 2 cores idle."""

_described = cache(described)


def build_fixtures(job: Job, root: Path, tell: Tell) -> dict[str, Fixture]:
    """Build every fixture in as many processes as there are ranks; one that ends its builder is `baseline_broken`."""
    fixtures: dict[str, Fixture] = {}

    def build(architecture: Architecture) -> dict[str, Any]:
        return asdict(build_fixture(architecture, root))

    died = Failure("BuilderDied", f"the plain load ended its process, or took longer than {job.timeout:.0f} s")
    for architecture, answer in each(job.architectures, build, job.world_size, job.timeout):
        broken = Fixture(architecture.id, Verdict.BASELINE_BROKEN, died)
        fixtures[architecture.id] = Fixture.from_dict(answer) if answer else broken
        done = {"done": len(fixtures), "of": len(job.architectures), "at": architecture.id}
        tell({"progress": "fixture", **done})
    return fixtures


@dataclass
class Sweep:
    """Tasks on their way through rank groups. A group serves until something goes wrong in it; then a spare takes over."""

    job: Job
    root: Path
    fixtures: dict[str, Fixture]
    rss_mb: float = 0.0
    _ready: deque[Group] = field(default_factory=deque)

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, list[Case]]]:
        """The cases of each task, as they are decided. Every call works with groups of its own."""
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
        """The group to use next, with a spare behind it: joining takes a rank seconds on a GPU."""
        if self._ready and not self._ready[0].alive:
            self._ready.popleft()
        while len(self._ready) < min(2, tasks_left):
            self._ready.append(Group(self.job, self.root))
        return self._ready[0]

    def _decide(self, task: Task, group: Group) -> list[Case]:
        started = time.perf_counter()
        observation = group.run(task)
        tensors = _described(self.root, task.architecture)
        decided = cases(task, observation, self.fixtures[task.architecture], tensors)
        seconds = round(time.perf_counter() - started, 4)
        return [case if case.seconds else replace(case, seconds=seconds) for case in decided]


def _tell_cases(decided: Iterable[Case], tell: Tell) -> None:
    for case in decided:
        tell({"case": asdict(case)})


def _passes(through: Sweep, tasks: Sequence[Task], tell: Tell) -> float:
    """All tasks once, then the red ones again until they are believed; the seconds spent loading."""
    runs: dict[CaseKey, list[Case]] = {}
    for _ in range(1 + through.job.confirmations):
        red = []
        for task, decided in through.run(tasks):
            for case in decided:
                runs.setdefault(case.key, []).append(case)
            seen = [confirm(runs[case.key]) for case in decided]
            _tell_cases(seen, tell)
            checks = tuple(case.check for case in seen if not case.believed(through.job.confirmations))
            red += [replace(task, checks=checks)] if checks else []
        # Other neighbours in a rerun: a verdict that depends on what ran before it shows as flaky.
        tasks = red[::-1]
    return sum(case.load_seconds for cases_of_one in runs.values() for case in cases_of_one)


def _lane(job: Job, root: Path, fixtures: dict[str, Fixture], tasks: Sequence[Task], channel: Channel) -> None:
    """A forked process that takes its tasks through groups of its own, and tells of them on `channel`.

    It imports the models of no other lane: each time it builds one, deepspeed patches every module class that there is.
    """
    mine = {task.architecture for task in tasks}
    eras.preload_models(architecture for architecture in job.architectures if architecture.id in mine)
    gc.collect()
    gc.freeze()
    through = Sweep(job, root, fixtures)
    try:
        loading = _passes(through, tasks, channel.send)
    except StartError as error:
        channel.send({"unable": asdict(error.failure)})
    else:
        channel.send({"lane": {"load_seconds": loading, "rss_mb": through.rss_mb}})


def _shares(tasks: Sequence[Task]) -> list[list[Task]]:
    """The tasks of each lane, all of one architecture in the same."""
    names = list(dict.fromkeys(task.architecture for task in tasks))
    return [[task for task in tasks if task.architecture in names[lane::LANES]] for lane in range(LANES)]


def _finished(lanes: list[Child], tell: Tell) -> list[dict[str, float]]:
    """Pass on what the lanes tell, until all have ended, and return what each measured of itself."""
    measured = []
    for message in merged([lane.channel for lane in lanes]):
        if "unable" in message:
            raise StartError(Failure(**message["unable"]))
        if "lane" in message:
            measured.append(message["lane"])
        else:
            tell(message)
    for lane in lanes:
        lane.channel.close()
        os.waitpid(lane.pid, 0)
    if len(measured) < len(lanes):
        raise RuntimeError("a lane of the sweep ended early")
    return measured


def sweep(job: Job, root: Path, tell: Tell) -> dict[str, float]:
    """Do the whole job, telling each case as it is decided; seconds and megabytes for the benchmark.

    `load_seconds` is the time inside from_pretrained and save_pretrained on the longest way through: the slowest lane's,
    after the slower builder's.
    """
    fixtures = build_fixtures(job, root, tell)
    for task in job.tasks:
        _tell_cases(undecided(task, fixtures[task.architecture]), tell)
    left = [ready(task, fixtures[task.architecture]) for task in job.tasks]
    shares = _shares([task for task in left if task.checks])
    lanes = [fork(partial(_lane, job, root, fixtures, share)) for share in shares if share]
    measured = _finished(lanes, tell)
    building = sum(fixture.load_seconds for fixture in fixtures.values()) / job.world_size
    loading = max((lane["load_seconds"] for lane in measured), default=0.0)
    return {"load_seconds": building + loading, "rss_mb": max((lane["rss_mb"] for lane in measured), default=0.0)}

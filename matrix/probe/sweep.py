"""The zygote's work: fixtures, then every task through rank groups, then reruns of what was red."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from matrix.model import Case, CaseKey, Job, Task, Verdict
from matrix.probe.channel import Channel, fork
from matrix.probe.fixture import Fixture, build_fixture, described
from matrix.probe.group import Group, reap_leaving
from matrix.probe.verdicts import cases, confirm

Tell = Callable[[dict[str, Any]], None]

_STABLE = frozenset({Verdict.PASS, Verdict.UNSUPPORTED, Verdict.BASELINE_BROKEN, Verdict.NOT_PARTITIONED})
"""Verdicts that a rerun cannot change: they are decided without a race between ranks."""


def _build_share(job: Job, root: Path, share: int, channel: Channel) -> None:
    for architecture in job.architectures[share :: job.world_size]:
        channel.send(asdict(build_fixture(architecture, root)))


def build_fixtures(job: Job, root: Path, tell: Tell) -> dict[str, Fixture]:
    """Build every fixture in as many processes as there are ranks; one that kills its builder is `baseline_broken`."""
    builders = [fork(partial(_build_share, job, root, share)) for share in range(job.world_size)]
    fixtures: dict[str, Fixture] = {}
    for builder in builders:
        for message in builder.channel:
            fixture = Fixture.from_dict(message)
            fixtures[fixture.architecture] = fixture
            tell(
                {"progress": "fixture", "done": len(fixtures), "of": len(job.architectures), "at": fixture.architecture}
            )
        builder.channel.close()
        os.waitpid(builder.pid, 0)
    return fixtures


def _spares(world_size: int) -> int:
    """How many groups to have started ahead: joining takes a rank seconds on a GPU, and a crash costs a group."""
    return max(1, min(4, (os.cpu_count() or 1) // (2 * world_size)))


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
        """The group to use next, with as many spares behind it as there may be use for."""
        if self._ready and not self._ready[0].alive:
            self._ready.popleft()
        while len(self._ready) < min(1 + _spares(self.job.world_size), tasks_left):
            self._ready.append(Group(self.job, self.root))
        return self._ready[0]

    def _decide(self, task: Task, group: Group) -> list[Case]:
        started = time.perf_counter()
        observation = group.run(task)
        tensors = described(self.root, task.architecture)
        decided = cases(task, observation, self.fixtures[task.architecture], tensors)
        seconds = round(time.perf_counter() - started, 4)
        return [case if case.seconds else replace(case, seconds=seconds) for case in decided]


def undecided(fixture: Fixture, task: Task) -> list[Case]:
    """The cases of a task whose architecture cannot be loaded even plainly."""
    return [Case(task.architecture, task.loader, check, fixture.verdict, error=fixture.error) for check in task.checks]


def sweep(job: Job, root: Path, tell: Tell) -> dict[str, float]:
    """Do the whole job, telling each case as it is decided; seconds and megabytes for the benchmark."""
    fixtures = build_fixtures(job, root, tell)
    runs: dict[CaseKey, list[Case]] = {}
    ready = []
    for task in job.tasks:
        fixture = fixtures.get(task.architecture) or Fixture(task.architecture, Verdict.BASELINE_BROKEN)
        if fixture.verdict is Verdict.PASS:
            ready.append(task)
        else:
            _tell_cases(undecided(fixture, task), tell)
    through = Sweep(job, root, fixtures)
    for attempt in range(1 + job.confirmations):
        red = []
        for task, decided in through.run(ready):
            for case in decided:
                runs.setdefault(case.key, []).append(case)
            _tell_cases([confirm(runs[case.key]) for case in decided], tell)
            checks = tuple(case.check for case in decided if case.verdict not in _STABLE)
            red += [replace(task, checks=checks)] if checks else []
        # Other neighbours in a rerun: a verdict that depends on what ran before it shows as flaky.
        ready = (red if attempt == 0 else ready)[::-1]
    loading = sum(f.load_seconds for f in fixtures.values()) + sum(c.load_seconds for r in runs.values() for c in r)
    return {"load_seconds": loading, "rss_mb": through.rss_mb}


def _tell_cases(decided: Iterable[Case], tell: Tell) -> None:
    for case in decided:
        tell({"case": asdict(case)})

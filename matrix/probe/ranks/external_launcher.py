"""One rank of somebody else's launcher (torchrun, srun, deepspeed): the same checks, without zygote and watchdog.

That is how the check scales past one host. Nothing is confirmed by reruns: a rank that raises ends the job with it.
"""

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from matrix.job import Job, Task
from matrix.model import Case
from matrix.probe import compat as eras
from matrix.probe.checkpoint.control import build_fixture
from matrix.probe.checkpoint.fixture import Fixture, described
from matrix.probe.checks.verdicts import cases, ready, undecided
from matrix.probe.ranks import rank as worker
from matrix.probe.ranks.group import Observation
from matrix.probe.ranks.zygote import environment_info

Message = dict[str, Any]


def _together(mine: object) -> list[Any]:
    """What every rank passed, on every rank."""
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, mine)
    return gathered


def _fixtures(job: Job, root: Path) -> dict[str, Fixture]:
    """Build every fixture once per host: the first rank there builds, and tells the others of all hosts how it went."""
    mine = [build_fixture(a, root) for a in job.architectures] if os.environ["LOCAL_RANK"] == "0" else []
    built = next(fixtures for fixtures in _together([asdict(fixture) for fixture in mine]) if fixtures)
    return {fixture["architecture"]: Fixture.from_dict(fixture) for fixture in built}


def _do(task: Task, job: Job, root: Path, fixture: Fixture) -> list[Case]:
    """The cases of one task, the same on every rank."""
    known, task = undecided(task, fixture), ready(task, fixture)
    if not task.checks:
        return known
    architecture = next(a for a in job.architectures if a.id == task.architecture)
    told: list[Message] = []
    worker.do_task(task, architecture, root, told.append)
    if raised := next((message["failure"] for message in told if "failure" in message), None):
        raise RuntimeError(f"{task.architecture} {task.loader}: {raised['type']}: {raised['message']}")
    ranks = _together({message["check"]: message for message in told})
    observation = Observation({check: [rank.get(check) for rank in ranks] for check in task.checks})
    return known + cases(task, observation, fixture, described(root, task.architecture))


def measure(job: Job, root: Path, tell: Callable[[Message], None]) -> int:
    """Do `job` as one rank of the launcher's group; rank 0 tells what `matrix.probe.__main__` documents. Returns 0."""
    eras.preload()
    worker.join(job.device)
    first = torch.distributed.get_rank() == 0
    if first:
        tell({"environment": asdict(environment_info(job))})
    shared = Path(_together(str(root))[torch.distributed.get_rank() - int(os.environ["LOCAL_RANK"])])
    fixtures = _fixtures(job, shared)
    for task in job.tasks:
        for case in _do(task, job, shared, fixtures[task.architecture]):
            if first:
                tell({"case": asdict(case)})
    torch.distributed.barrier()
    if first:
        tell({"end": {}})
    torch.distributed.destroy_process_group()
    return 0

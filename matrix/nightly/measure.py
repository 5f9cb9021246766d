"""Measures the shard of one machine in a nightly run: one environment after the other, none stopped by another.

Results are OUT/<environment id>+<device>.jsonl; logs are in logs/ next to OUT. What is at the tip of a branch is
built and run as confined as a pull request's code, see `matrix.process.sandbox`. An environment is removed
when it is measured, so that a machine needs the disk of one.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from matrix.environments.choose import load_axes
from matrix.measure.cell import UNFINISHED, measure, salvage
from matrix.measure.probe_process import OURS
from matrix.measure.request import Progress, Request
from matrix.measure.tasks import plan_tasks
from matrix.model import Architecture
from matrix.nightly.plan import WORLD_SIZE, NightlyCell, NightlyPlan
from matrix.process.sandbox import Sandbox


@dataclass(frozen=True)
class ShardOptions:
    """What a shard is measured with: `venvs` is the folder that environments are installed in."""

    architectures: tuple[Architecture, ...]
    venvs: Path
    out: Path
    sandbox: Sandbox | None = None


def measure_shard(plan: NightlyPlan, shard: str, options: ShardOptions, progress: Progress) -> None:
    """Measures the cells of `shard`; goes on from what is there.

    An environment that cannot be installed, or whose probe ends early, is recorded as that, and the rest is measured.
    Raises UnknownNameError, and those errors that every other cell would have too.
    """
    for cell in plan.of(shard):
        progress.step(f"{cell.environment.id}: {cell.why} {cell.words}".rstrip())
        request = _request(plan, cell, options)
        _measure_or_salvage(request, progress)
        _tidy(request)
        _remove(options.venvs / cell.environment.id)


def _request(plan: NightlyPlan, cell: NightlyCell, options: ShardOptions) -> Request:
    return Request(
        out=options.out,
        tasks=plan_tasks(options.architectures, load_axes("nightly")),
        environment=cell.environment,
        venv=options.venvs / cell.environment.id,
        device=plan.device,
        world_size=WORLD_SIZE,
        resume=True,
        logs=options.out.resolve().parent / "logs",
        setup=replace(OURS, sandbox=options.sandbox),
    )


def _measure_or_salvage(request: Request, progress: Progress) -> None:
    try:
        measure(request, progress)
    except UNFINISHED as error:
        salvage(request, error, progress)


def _tidy(request: Request) -> None:
    """Moves what was set aside out of the folder whose content is uploaded."""
    for file in request.out.glob("*.old"):
        if request.logs:
            request.logs.mkdir(parents=True, exist_ok=True)
            file.rename(request.logs / file.name)


def _remove(venv: Path) -> None:
    shutil.rmtree(venv, ignore_errors=True)
    venv.with_name(f"{venv.name}.installed").unlink(missing_ok=True)

"""Measures one cell: prepares its environment, runs the probe, keeps every case as it comes, and resumes."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

from matrix.catalog.catalog import select_recipes
from matrix.environments.spec import plan_info
from matrix.errors import (
    BadMessageError,
    EnvironmentFailedError,
    MatrixError,
    OutputError,
    ProbeDiedError,
    RejectedTargetError,
    ResultsError,
)
from matrix.job import Job, Task
from matrix.measure.device import count_gpus, resolve_device
from matrix.measure.machine import MachineError
from matrix.measure.prepare import Prepared, prepare
from matrix.measure.probe_process import last_line, run_job
from matrix.measure.recorder import Recorder, make_cell
from matrix.measure.request import Progress, Request
from matrix.measure.resume import read_earlier
from matrix.measure.tasks import UNKNOWN_CHECK, filter_remaining
from matrix.model import Case, CaseKey, Cell, Device, Failure, Timing
from matrix.process.messages import Message
from matrix.results.read import add_cases, read_cell
from matrix.results.write import append, set_aside
from matrix.verdicts import Verdict

UNFINISHED: Final = (EnvironmentFailedError, ProbeDiedError, BadMessageError, MachineError)
"""Errors that end one measurement, after which the same machine can go on with the next: see `salvage`."""


def measure(request: Request, progress: Progress) -> Cell:
    """Measures one cell and returns it, complete and on disk.

    An environment that cannot be installed or imported becomes a cell with `error`. Raises the other classes of
    `matrix.errors`; what was measured before is on disk then, and a request with `resume` goes on from there.
    RejectedTargetError says why the request's target cannot be measured, and leaves no results.
    """
    device = _choose_device(request, progress)
    try:
        prepared = prepare(request, device, progress)
    except EnvironmentFailedError as error:
        if request.environment is None:
            raise
        return record_failure(request, Failure(type(error).__name__, error.words), progress)
    path = request.out / f"{prepared.id}.jsonl"
    earlier = read_earlier(path, request, progress)
    tasks = _remaining(request, earlier)
    variants = request.target.axes.variants if request.target else ()
    progress.begin(prepared.id, len(variants) + sum(len(task.checks) for task in tasks))
    if earlier and not tasks:
        progress.step(f"already measured on {earlier.started}")
        return earlier if earlier.complete else _finish(path, earlier)
    return _measure(request, tasks, prepared, earlier, progress)


def _measure(
    request: Request, tasks: tuple[Task, ...], prepared: Prepared, earlier: Cell | None, progress: Progress
) -> Cell:
    path = request.out / f"{prepared.id}.jsonl"
    log = (request.logs or request.out) / f"{prepared.id}.log"
    # Held while the probe runs: a second run of the same cell stops at the lock and not in the middle.
    with append(path) as writer:
        recorder = Recorder(request, prepared, writer, progress, earlier)
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with closing(_run(request, tasks, prepared, log)) as said:
                ended = any(map(recorder.take, said))
        except OSError as error:
            raise OutputError(Path(error.filename or path), error) from error
        except RejectedTargetError:
            path.unlink()  # an empty file would be no results
            raise
    if not ended or not recorder.cell:
        raise ProbeDiedError(prepared.id, log, last_line(log))
    return recorder.cell


def _run(request: Request, tasks: tuple[Task, ...], prepared: Prepared, log: Path) -> Generator[Message]:
    """Yields what the probe reports. What its checkout cannot measure is unsupported, as missing classes are."""
    missing = [key for task in tasks for key in task.keys if not request.setup.knows(key)]
    possible = filter_remaining(tasks, missing)
    if missing and not possible:
        yield from map(_unsupported, missing)
        yield {"end": Timing()}
        return
    with closing(run_job(_job(request, possible, prepared), prepared.interpreter, log, setup=request.setup)) as said:
        for message in said:
            if "end" in message:  # not earlier: the probe reports its environment first
                yield from map(_unsupported, missing)
            yield message


def _unsupported(key: CaseKey) -> Message:
    error = Failure(UNKNOWN_CHECK, "this commit of the project does not have this check or precision")
    return {"case": Case(*key[:3], Verdict.UNSUPPORTED, *key[3:], error=error)}


def _job(request: Request, tasks: tuple[Task, ...], prepared: Prepared) -> Job:
    architectures = select_recipes(
        prepared.versions["transformers"], dict.fromkeys(task.architecture for task in tasks)
    )
    source = request.target.source if request.target else None
    options = (request.world_size, request.timeout, request.confirmations)
    axes = (request.target.axes.precisions, request.target.axes.checks) if request.target else ()
    return Job(architectures, tasks, prepared.device, *options, source, *axes)


def record_failure(request: Request, failure: Failure, progress: Progress) -> Cell:
    """Records that the environment of `request` could not be measured, keeping what an earlier run could."""
    if request.environment is None:
        raise ValueError("only an environment that is installed has a cell before it is measured")
    device = resolve_device(request.device, request.world_size)
    versions = {"python": request.environment.python, **request.environment.pins}
    info = plan_info(request.environment.id, versions, device, request.world_size)
    path = request.out / f"{info.id}.jsonl"
    if path.exists():
        progress.step(f"earlier results are kept as {set_aside(path).name}")
    cell = make_cell(request, info, request.tasks, failure)
    with append(path) as writer:
        writer.header(cell)
        writer.end((), Timing())
    return replace(cell, complete=True)


def salvage(request: Request, error: MatrixError, progress: Progress) -> Cell:
    """Returns what was measured before `error`, one of UNFINISHED; where that is nothing, records the error as a cell."""
    progress.step(f"measuring ended early ({type(error).__name__}), see {request.logs}")
    device = resolve_device(request.device, request.world_size)
    try:
        return read_cell(request.out / f"{request.environment.id if request.environment else ''}+{device}.jsonl")
    except ResultsError:
        words = error.words if isinstance(error, EnvironmentFailedError) else str(error)
        return record_failure(request, Failure(type(error).__name__, words[-4000:]), progress)


def _choose_device(request: Request, progress: Progress) -> Device:
    device = resolve_device(request.device, request.world_size)
    if request.device == "auto" and device is Device.CPU and (gpus := count_gpus()):
        progress.step(f"{gpus} GPU is too few for {request.world_size} ranks: using the CPU")
    return device


def _remaining(request: Request, earlier: Cell | None) -> tuple[Task, ...]:
    """Returns the tasks of `request` without the cases of `earlier` that need not be measured again."""
    known = earlier.cases if earlier and not request.again else ()
    return filter_remaining(request.tasks, [case.key for case in known if case.believed(request.confirmations)])


def _finish(path: Path, cell: Cell) -> Cell:
    """Records that `cell` is complete: the run that decided its last case was cut short before it could."""
    with append(path) as writer:
        writer.end(cell.cases, cell.timing)
    return add_cases(cell, cell.cases, ended=True)

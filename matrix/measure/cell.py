"""Measure one cell: install or look at the environment, run the probe, keep every case as it comes, resume."""

import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from pydantic import TypeAdapter

from matrix import clock
from matrix.catalog.catalog import catalog_hash, recipes_of
from matrix.environments.install import install
from matrix.environments.interpreter import describe
from matrix.environments.packages import REQUIRED
from matrix.environments.source_builds import install_confined
from matrix.environments.spec import Environment, name_of, planned_info
from matrix.errors import (
    EnvironmentFailedError,
    MatrixError,
    OutputError,
    ProbeDiedError,
    ResultsError,
)
from matrix.job import Job, Task
from matrix.measure.device import count_gpus, resolve_device
from matrix.measure.fingerprint import probe_hash
from matrix.measure.probe_process import OURS, Setup, last_line, run_job
from matrix.measure.tasks import remaining
from matrix.model import Architecture, Case, CaseKey, Cell, Device, EnvironmentInfo, Failure, Timing
from matrix.process.messages import strictly
from matrix.results.store import CellWriter, append, read_cell, set_aside
from matrix.verdicts import Verdict

_CASE = TypeAdapter(Case)
_INFO = TypeAdapter(EnvironmentInfo)
_FAILURE = TypeAdapter(Failure)
_TIMING = TypeAdapter(Timing)


class Progress(Protocol):
    """Who is told how the measuring goes."""

    def begin(self, environment: str, cases: int) -> None:
        """A cell begins, with so many cases to decide."""

    def step(self, words: str) -> None:
        """Something is being prepared."""

    def case(self, case: Case) -> None:
        """A case was decided, or confirmed."""


@dataclass(frozen=True)
class Request:
    """One cell to measure: where, what, and how. `interpreter` counts without an `environment`, `logs` is `out` without."""

    out: Path
    architectures: tuple[Architecture, ...]
    tasks: tuple[Task, ...]
    environment: Environment | None = None
    interpreter: Path | None = None
    venv: Path | None = None
    device: str = "auto"
    world_size: int = 2
    timeout: float = 120.0
    confirmations: int = 2
    resume: bool = False
    again: bool = False
    catalog: str = field(default_factory=catalog_hash)
    logs: Path | None = None
    setup: Setup = OURS


def _new_cell(request: Request, info: EnvironmentInfo, error: Failure | None = None) -> Cell:
    return Cell(
        environment=info,
        catalog=request.catalog,
        probe=probe_hash(request.setup.root),
        started=clock.now().isoformat(timespec="seconds").replace("+00:00", "Z"),
        planned=sum(len(task.checks) for task in request.tasks),
        error=error,
    )


def _kept(path: Path, request: Request, cell: Cell, progress: Progress) -> Cell | None:
    """The earlier cell in `path` to go on from; None after an unusable one has been set aside."""
    if not path.exists() or not path.stat().st_size:  # empty: a run ended before its packages were imported
        return None
    try:
        earlier = read_cell(path)
    except ResultsError:
        progress.step(f"{path.name} is no readable results file, kept as {set_aside(path).name}")
        return None
    same = (earlier.catalog, earlier.probe, earlier.environment.world_size) == (
        cell.catalog,
        cell.probe,
        cell.environment.world_size,
    )
    if not same or earlier.error or (earlier.complete and not (request.resume or request.again)):
        progress.step(f"earlier results are kept as {set_aside(path).name}")
        return None
    return earlier


def _installed(environment: Environment, request: Request) -> Path:
    venv = request.venv or Path(".zero3/venvs") / environment.id
    sandbox = request.setup.sandbox
    return install_confined(environment, venv, sandbox) if sandbox else install(environment, venv)


def prepare(request: Request, device: Device, progress: Progress) -> tuple[Path, EnvironmentInfo]:
    """The interpreter to measure and what it is; raises EnvironmentFailedError."""
    environment = request.environment
    if environment is not None:
        progress.step("installing " + ", ".join(environment.requirements))
        interpreter = _installed(environment, request)
    else:
        interpreter = request.interpreter or Path(sys.executable)
    versions = describe(interpreter, request.setup.sandbox)
    name = environment.id if environment else name_of({name: versions[name].partition("+")[0] for name in REQUIRED})
    versions = {**(environment.pins if environment else {}), **versions}
    return interpreter, planned_info(name, versions, device, request.world_size)


def measure(request: Request, progress: Progress) -> Cell:
    """Measure one cell and return it, complete and on disk.

    An environment that cannot be installed or imported becomes a cell with `error`. Raises the other classes of
    `matrix.errors`; what was measured before is on disk then, and a request with `resume` goes on from there.
    """
    device = resolve_device(request.device, request.world_size)
    if request.device == "auto" and device is Device.CPU and (gpus := count_gpus()):
        progress.step(f"{gpus} GPU for {request.world_size} ranks: they run on the CPU")
    try:
        interpreter, info = prepare(request, device, progress)
    except EnvironmentFailedError as error:
        if request.environment is None:
            raise
        return give_up(request, Failure(type(error).__name__, error.words), progress)
    path = request.out / f"{info.id}.jsonl"
    earlier = _kept(path, request, _new_cell(request, info), progress)
    known = earlier.cases if earlier and not request.again else ()
    tasks = remaining(request.tasks, [case.key for case in known if case.believed(request.confirmations)])
    progress.begin(info.id, sum(len(task.checks) for task in tasks))
    if earlier and not tasks:
        progress.step(f"already measured {earlier.started}")
        return earlier if earlier.complete else _finished(path, earlier)
    names = {task.architecture for task in tasks}
    wanted = [architecture for architecture in request.architectures if architecture.id in names]
    architectures = recipes_of(info.transformers, wanted)
    job = Job(architectures, tasks, device, request.world_size, request.timeout, request.confirmations)
    with append(path) as writer:
        run_probe(job, interpreter, Sink(request, info, writer, progress, path, earlier))
    return read_cell(path)


def _finished(path: Path, cell: Cell) -> Cell:
    """Say on disk that `cell` is complete: the run that decided its last case was cut short before it could."""
    with append(path) as writer:
        writer.end(cell.cases, cell.timing)
    return read_cell(path)


def give_up(request: Request, failure: Failure, progress: Progress) -> Cell:
    """Write down that the environment of `request` could not be measured, keeping what an earlier run could."""
    if request.environment is None:
        raise ValueError("an interpreter is measured as it is")
    device = resolve_device(request.device, request.world_size)
    versions = {"python": request.environment.python, **request.environment.pins}
    info = planned_info(request.environment.id, versions, device, request.world_size)
    path = request.out / f"{info.id}.jsonl"
    cell = _new_cell(request, info, failure)
    if path.exists():
        progress.step(f"earlier results are kept as {set_aside(path).name}")
    with append(path) as writer:
        writer.header(cell)
        writer.end((), Timing())
    return replace(cell, complete=True)


def salvage(request: Request, error: MatrixError, progress: Progress) -> Cell:
    """Returns what was measured before `error`; where that is nothing, writes a cell with this error."""
    device = resolve_device(request.device, request.world_size)
    try:
        return read_cell(request.out / f"{request.environment.id if request.environment else ''}+{device}.jsonl")
    except ResultsError:
        words = error.words if isinstance(error, EnvironmentFailedError) else str(error)
        return give_up(request, Failure(type(error).__name__, words[-4000:]), progress)


def _with_commits(packages: Mapping[str, str], environment: Environment | None) -> dict[str, str]:
    """`packages`, those with their commit that the environment pins to one: 5.24.0.dev0+git.<40 digits>.

    A version of a branch says nothing of where on it; that the commit is the one installed is `matrix.environments.source_builds`' to see.
    """
    commits = environment.commits if environment else {}
    return {**packages, **{name: f"{packages.get(name, '')}+git.{commit}" for name, commit in commits.items()}}


@dataclass
class Sink:
    """Where the probe's messages go. `earlier` is what the file holds already, None when it is new."""

    request: Request
    info: EnvironmentInfo
    writer: CellWriter
    progress: Progress
    path: Path
    earlier: Cell | None
    begun: bool = False
    cases: dict[object, Case] = field(default_factory=dict)

    @cached_property
    def asked(self) -> frozenset[CaseKey]:
        """What the probe may decide."""
        return frozenset(key for task in self.request.tasks for key in task.keys)

    @cached_property
    def architectures(self) -> tuple[str, ...]:
        """The ids that the probe may speak of."""
        return tuple(architecture.id for architecture in self.request.architectures)

    def environment(self, values: object) -> None:
        """Note what is really measured; it is written with the first case, since ranks may yet fail to start."""
        told = strictly(_INFO, values)
        self.info = replace(told, id=self.info.id, packages=_with_commits(told.packages, self.request.environment))

    def _begin(self) -> None:
        if not self.begun and self.earlier is None:
            self.writer.header(_new_cell(self.request, self.info))
        self.begun = True

    def unable(self, failure: Failure) -> None:
        """The packages cannot be imported, or ranks not started; beside earlier results that is an error of this run."""
        if self.begun or self.earlier is not None:
            raise EnvironmentFailedError(self.info.id, f"{failure.type}: {failure.message}")
        self.writer.header(_new_cell(self.request, self.info, failure))
        self.writer.end((), Timing())

    def case(self, values: object) -> None:
        """Keep one case. A red one that an interrupted run saw is not forgotten when this run sees green."""
        case = strictly(_CASE, values)
        if case.key not in self.asked:
            return
        self._begin()
        seen = next((known for known in self._unsettled() if known.key == case.key), None)
        if seen and seen.verdict is not case.verdict:
            case = replace(case, verdict=Verdict.FLAKY, confirmed=(case.confirmed[0], case.confirmed[1] + 1))
        self.cases[case.key] = case
        self.writer.case(case)
        self.progress.case(case)

    def _unsettled(self) -> Iterable[Case]:
        known = self.earlier.cases if self.earlier and not self.request.again else ()
        return (case for case in known if not case.believed(self.request.confirmations))

    def identified(self, values: object) -> None:
        """What a target is, which nobody asked for here: no message of the probe may add to what it may decide."""

    def refused(self, words: str) -> None:
        """Why there is no such target, which nobody asked for either."""

    def end(self, timing: Timing) -> None:
        """Say that the cell is complete; the times of its parts add up."""
        self._begin()
        before = self.earlier or _new_cell(self.request, self.info)
        decided: dict[object, Case] = {case.key: case for case in before.cases}
        decided |= self.cases
        self.writer.end(decided.values(), before.timing + timing)


def run_probe(job: Job, interpreter: Path, sink: Sink) -> None:
    """Do `job`, passing all that the probe says to `sink`; raises the errors that `measure` raises."""
    log = (sink.request.logs or sink.request.out) / f"{sink.info.id}.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with closing(run_job(job, interpreter, log, setup=sink.request.setup)) as messages:
            ended = _take_all(messages, sink)
    except OSError as error:
        raise OutputError(Path(error.filename or sink.path), error) from error
    if not ended:
        raise ProbeDiedError(sink.info.id, log, last_line(log))


def _take_all(messages: Iterable[dict[str, Any]], sink: Sink) -> bool:
    """Pass every message on; whether the probe said that it had finished. What is none of its messages is ignored."""
    for message in messages:
        match message:
            case {"environment": values}:
                sink.environment(values)
            case {"progress": _, "at": at, "done": int(done), "of": int(of)} if at in sink.architectures:
                sink.progress.step(f"building {at} ({done} of {of})")
            case {"target": values}:
                sink.identified(values)
            case {"refused": str(words)}:
                sink.refused(words)
            case {"case": values}:
                sink.case(values)
            case {"failure": values}:
                sink.unable(strictly(_FAILURE, values))
                return True
            case {"end": values}:
                sink.end(strictly(_TIMING, values))
                return True
            case _:
                pass
    return False

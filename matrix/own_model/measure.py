"""Measure the user's own model: every case of one target, in an interpreter as it is."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from pydantic import TypeAdapter

from matrix.advice.advice import Age, Ask, advise
from matrix.advice.sources import knowledge
from matrix.errors import EnvironmentFailedError, MatrixError, ProbeDiedError, RefusedTargetError
from matrix.job import Job
from matrix.measure.cell import Progress, Request, Sink, measure, prepare, run_probe
from matrix.measure.device import resolve_device
from matrix.measure.tasks import plan
from matrix.model import Architecture, Cell, Check, Loader, Source
from matrix.own_model.diagnosis import Resolved
from matrix.process.messages import strictly
from matrix.results.store import append, read_cell, set_aside
from matrix.verdicts import Verdict

CASES = len(Loader) * len(Check)
_RESOLVED = TypeAdapter(Resolved)


@dataclass
class _TargetSink(Sink):
    """Where the messages about a target go, which says first what it is."""

    source: Source = field(default_factory=Source)
    resolved: Resolved | None = None

    def identified(self, values: object) -> None:
        """From here on the probe may decide the cases of this one architecture."""
        self.resolved = strictly(_RESOLVED, values)
        architectures = (Architecture(self.resolved.id, "own", source=self.source),)
        self.request = replace(
            self.request, architectures=architectures, tasks=plan(architectures, [*Loader], [*Check])
        )

    def refused(self, words: str) -> None:
        """There is nothing to measure."""
        raise RefusedTargetError(self.source.name or self.source.label, words)


def identity(source: Source) -> str:
    """What stands for the catalog in the records of a target: another one is never taken for the same measurement."""
    return f"sha256:{hashlib.sha256(json.dumps(asdict(source)).encode()).hexdigest()}"


@contextmanager
def folder(out: Path | None) -> Iterator[Path]:
    """Where records and the log go: `out`, or a folder that is gone afterwards unless a message names the log in it."""
    if out:
        yield out
        return
    temporary = Path(mkdtemp(prefix="zero3-check-"))
    with ExitStack() as at_the_end:
        at_the_end.callback(rmtree, temporary, ignore_errors=True)
        try:
            yield temporary
        except ProbeDiedError:
            at_the_end.pop_all()
            raise


def safe_pairs(cell: Cell, source: str, today: date) -> list[str]:
    """The ids of environments that `source` knows, `today`, to be safe for every architecture of `cell`, the nearest first.

    `source` is what `matrix.advice.sources` reads; where it cannot be read, nothing is known.
    """
    info = cell.environment
    ask = Ask(info.transformers, info.deepspeed, info.device)
    names = {case.architecture.partition("@")[0] for case in cell.cases}
    try:
        known = knowledge(source)
        age = Age(known.night, today)
        safe = [[one.environment for one in advise(name, known.tried(name), ask, age).safe] for name in names]
    except MatrixError:
        return []
    return [pair for pair in safe[0] if all(pair in others for others in safe)]


def measure_own(source: Source | None, request: Request, progress: Progress) -> tuple[Cell, Resolved]:
    """Measure every case of `source`, or of the architectures of `request`; the cell on disk, and what was measured.

    Raises RefusedTargetError when there is no such model in the interpreter, EnvironmentFailedError when the packages
    cannot be imported or no ranks be started, and what else `matrix.measure.cell.measure` raises.
    """
    if source:
        cell, resolved = _measure_target(source, replace(request, catalog=identity(source)), progress)
    else:
        cell, resolved = measure(request, progress), Resolved(", ".join(entry.id for entry in request.architectures))
    if cell.error:
        raise EnvironmentFailedError(cell.environment.id, f"{cell.error.type}: {cell.error.message}")
    for case in cell.cases:
        if case.verdict is Verdict.UNSUPPORTED:
            raise RefusedTargetError(case.architecture, case.error.message if case.error else "there is no such class")
    return cell, resolved


def _measure_target(source: Source, request: Request, progress: Progress) -> tuple[Cell, Resolved]:
    device = resolve_device(request.device, request.world_size)
    interpreter, info = prepare(request, device, progress)
    path = request.out / f"{info.id}.jsonl"
    if path.exists():
        progress.step(f"earlier results are kept as {set_aside(path).name}")
    progress.begin(info.id, CASES)
    job = Job((), (), device, request.world_size, request.timeout, request.confirmations, source)
    with append(path) as writer:
        sink = _TargetSink(request, info, writer, progress, path, None, source=source)
        try:
            run_probe(job, interpreter, sink)
        except RefusedTargetError:
            path.unlink()  # an empty file would be no results
            raise
    return read_cell(path), sink.resolved or Resolved("")

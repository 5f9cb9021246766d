"""Measures a comparison job: base and head of one package and reruns of what differs, or a reference.

Results are OUT/<role>/<environment id>.jsonl and nothing else; logs are next to OUT, in logs/<job>/<role>. The probe's
messages come from a process that runs the code under test: `matrix.process.sandbox` says what can be believed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matrix.catalog.select import select
from matrix.comparison.compare import Role, compare, find_suspects
from matrix.comparison.outcome import Outcome
from matrix.comparison.plan import ComparisonJob, ComparisonPlan, PlannedRevision
from matrix.environments.choose import pin_newest
from matrix.environments.packages import PROJECT
from matrix.environments.source_builds import checkout
from matrix.environments.spec import Environment
from matrix.errors import UnknownNameError
from matrix.job import Task
from matrix.measure.cell import UNFINISHED, measure, salvage
from matrix.measure.probe_process import OURS, Setup
from matrix.measure.request import Progress, Request
from matrix.measure.tasks import filter_remaining, plan_tasks
from matrix.model import Architecture, Case, CaseKey, Cell, Run
from matrix.process.sandbox import Isolation, Sandbox, neutralize


@dataclass(frozen=True)
class JobOptions:
    """What a job is measured with. The first of `known` is the newest pair; `venvs` is where environments are installed."""

    architectures: tuple[Architecture, ...]
    known: tuple[Environment, ...]
    venvs: Path
    device: str = "auto"
    sandbox: Sandbox | None = None


def find_job(comparison: ComparisonPlan, name: str) -> ComparisonJob:
    """Returns the job of that name; raises UnknownNameError."""
    found = next((job for job in comparison.jobs if job.name == name), None)
    if found is None:
        raise UnknownNameError("comparison job", [name], [job.name for job in comparison.jobs])
    return found


def select_architectures(
    job: ComparisonJob, known: Sequence[Architecture], globs: Sequence[str]
) -> tuple[Architecture, ...]:
    """Returns the job's architectures that match one of `globs`; raises UnknownNameError, also for one that is not `known`."""
    entries = {architecture.id: architecture for architecture in known}
    if unknown := [name for name in job.architectures if name not in entries]:
        raise UnknownNameError("architecture", unknown, list(entries))
    return select([entries[name] for name in job.architectures], globs)


class _RoleProgress:
    """The progress of one role. What comes from the code under test cannot command the log that shows it."""

    def __init__(self, role: Role, progress: Progress) -> None:
        self.role, self.progress = role, progress

    def begin(self, environment: str, cases: int) -> None:
        self.progress.begin(f"{self.role} {environment}", cases)

    def step(self, words: str) -> None:
        self.progress.step(f"{self.role}: {neutralize(words)}")

    def case(self, case: Case) -> None:
        self.progress.case(case)


@dataclass(frozen=True)
class _JobRun:
    job: ComparisonJob
    out: Path
    progress: Progress
    options: JobOptions

    @property
    def tasks(self) -> tuple[Task, ...]:
        return plan_tasks(self.options.architectures, self.job.axes)

    def revision(self, role: Role) -> PlannedRevision | None:
        return next((revision for revision in self.job.revisions if revision.role is role), None)

    def measure_revision(self, revision: PlannedRevision, role: Role, tasks: Sequence[Task]) -> Run:
        """Measures `tasks` on `revision` as `role`; returns a cell that says why where nothing could be measured."""
        own_progress = _RoleProgress(role, self.progress)
        request = self._request(revision, role, tasks)
        own_progress.step("begins")
        try:
            cell = measure(replace(request, setup=self._setup(revision)), own_progress)
        except UNFINISHED as error:
            cell = salvage(request, error, own_progress)
        _tidy(request, cell)
        return Run((cell,))

    def _request(self, revision: PlannedRevision, role: Role, tasks: Sequence[Task]) -> Request:
        return Request(
            out=self.out / role,
            tasks=tuple(tasks),
            environment=pin_newest(revision.pins, self.options.known),
            venv=self._folder(revision),
            device=self.options.device,
            resume=True,
            logs=self.out.resolve().parent / "logs" / self.job.name / role,
        )

    def _folder(self, revision: PlannedRevision) -> Path:
        return self.options.venvs / f"{self.job.name}-{revision.role}"

    def _setup(self, revision: PlannedRevision) -> Setup:
        sandbox = self.options.sandbox
        pin = revision.pins.get(PROJECT)
        if pin is None:
            return replace(OURS, sandbox=sandbox)
        folder = self._folder(revision)
        root = checkout(pin, folder.with_name(f"{folder.name}-probe"), sandbox or Sandbox(Isolation.NONE))
        return Setup(root.resolve(), sandbox)

    def rerun(self, roles: Mapping[Role, Role], keys: Sequence[CaseKey]) -> dict[Role, Run]:
        """Measures the cases `keys` again on the revisions with these roles, each as the role that it is mapped to."""
        asked = [key for task in self.tasks for key in task.keys]
        tasks = filter_remaining(self.tasks, set(asked) - set(keys))
        revisions = [
            (revision, measured_as) for role, measured_as in roles.items() if (revision := self.revision(role))
        ]
        return {role: self.measure_revision(revision, role, tasks) for revision, role in revisions} if tasks else {}


def _tidy(request: Request, cell: Cell) -> None:
    """Moves what is not the cell out of the folder whose content is uploaded."""
    for file in request.out.iterdir():
        if file.name != f"{cell.environment.id}.jsonl" and request.logs:
            request.logs.mkdir(parents=True, exist_ok=True)
            file.rename(request.logs / file.name)


def measure_job(job: ComparisonJob, out: Path, progress: Progress, options: JobOptions) -> None:
    """Measures `job` into `out`; goes on from what is there.

    An environment that cannot be installed, or a probe that ends early, is in the records, and the rest is measured.
    Raises those errors that every other revision would have too: output, devices.
    """
    job_run = _JobRun(job, out, progress, options)
    others = (Role.BASE_OTHER, Role.HEAD_OTHER)
    runs = {
        revision.role: job_run.measure_revision(revision, revision.role, job_run.tasks)
        for revision in job.revisions
        if revision.role not in others
    }
    if Role.BASE not in runs or Role.HEAD not in runs:
        return
    differing = find_suspects(runs[Role.BASE], runs[Role.HEAD])
    runs |= job_run.rerun({Role.BASE: Role.BASE_RERUN, Role.HEAD: Role.HEAD_RERUN}, differing)
    regressed = [found.key for found in compare(runs, differing).of(Outcome.REGRESSED)]
    job_run.rerun(dict(zip(others, others, strict=True)), regressed)

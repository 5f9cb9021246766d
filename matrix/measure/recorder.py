"""Records what the probe reports: each case is in the file of its cell before the next is measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from matrix import clock
from matrix.environments.spec import Environment, plan_info
from matrix.errors import EnvironmentFailedError, RejectedTargetError
from matrix.job import Task
from matrix.measure.fingerprint import compute_probe_hash
from matrix.measure.machine import MachineError, find_trouble
from matrix.measure.prepare import Prepared
from matrix.measure.request import Progress, Request
from matrix.measure.tasks import plan_tasks
from matrix.model import Architecture, Case, CaseKey, Cell, EnvironmentInfo, Failure, Timing
from matrix.process.messages import Message, Resolved
from matrix.results.read import add_cases
from matrix.results.records import round_times
from matrix.results.write import CellWriter
from matrix.verdicts import Verdict


def make_cell(request: Request, info: EnvironmentInfo, tasks: tuple[Task, ...], error: Failure | None = None) -> Cell:
    """Returns the cell of `request` before any of its `tasks` is done."""
    return Cell(
        environment=info,
        catalog=request.catalog,
        probe=compute_probe_hash(request.setup.root),
        started=clock.now().isoformat(timespec="seconds").replace("+00:00", "Z"),
        planned=sum(len(task.checks) for task in tasks),
        error=error,
    )


@dataclass
class Recorder:
    """Takes the messages of a probe and writes what they report.

    `cell` is what the file holds, None until its header is written. `info` is the environment as the probe reported it.
    `cases` are all decided ones, those of earlier runs too; `unsettled` are earlier ones that this run measures again.
    `tasks` and `asked` are what the probe may decide.
    """

    request: Request
    prepared: Prepared
    writer: CellWriter
    progress: Progress
    cell: Cell | None
    info: EnvironmentInfo | None = None
    cases: dict[CaseKey, Case] = field(default_factory=dict)
    unsettled: dict[CaseKey, Case] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    asked: frozenset[CaseKey] = frozenset()

    def __post_init__(self) -> None:
        self._ask(self.request.tasks)
        self.cases = {case.key: case for case in self.cell.cases} if self.cell else {}
        if not self.request.again:
            believed = self.request.confirmations
            self.unsettled = {key: case for key, case in self.cases.items() if not case.believed(believed)}

    def take(self, message: Message) -> bool:
        """Records one message; returns whether it is the probe's last. What it does not know is ignored."""
        match message:
            case {"environment": EnvironmentInfo() as info}:
                # Written with the first case, since ranks may yet fail to start.
                packages = _with_commits(info.packages, self.request.environment)
                self.info = replace(info, id=self.prepared.id, packages=packages)
            case {"progress": _, "at": str(at), "done": int(done), "of": int(of)}:
                if any(task.architecture == at for task in self.tasks):
                    self.progress.step(f"building {at} ({done} of {of})")
            case {"remark": str(words)}:
                self.progress.step(words)
            case {"target": Resolved() as resolved}:
                self._identify(resolved)
            case {"refused": str(words)}:
                self._reject(words)
            case {"case": Case() as decided}:
                self._decide(decided)
            case {"failure": Failure() as failure}:
                self._fail(failure)
                return True
            case {"end": Timing() as timing}:
                self._end(timing)
                return True
            case _:
                pass  # of a later version, or not the probe's
        return False

    def _ask(self, tasks: tuple[Task, ...]) -> None:
        """Sets what the probe may decide."""
        self.tasks, self.asked = tasks, frozenset(key for task in tasks for key in task.keys)

    def _identify(self, resolved: Resolved) -> None:
        """From here on the probe may decide the cases of the target; where none was asked for, no message adds to them."""
        if target := self.request.target:
            target.resolved = resolved
            self._ask(plan_tasks([Architecture(resolved.id, "own")], target.axes))

    def _reject(self, words: str) -> None:
        if target := self.request.target:
            raise RejectedTargetError(target.source.name or target.source.label, words)

    def _decide(self, case: Case) -> None:
        """Writes one case, if it was asked for. A red one that an interrupted run saw stays known when it is green now."""
        # Code under test can write on the probe's stdout: cases that nobody asked for are not recorded.
        if case.key not in self.asked:
            return
        if trouble := find_trouble(case):
            raise MachineError(self.prepared.id, trouble, case)
        self._begin()
        seen = self.unsettled.get(case.key)
        if seen and seen.verdict is not case.verdict:
            case = replace(case, verdict=Verdict.FLAKY, confirmed=(case.confirmed[0], case.confirmed[1] + 1))
        self.cases[case.key] = case
        self.writer.case(case)
        self.progress.case(case)

    def _fail(self, failure: Failure) -> None:
        """Records that packages cannot be imported, or ranks not started; after other results that is this run's error."""
        if self.cell:
            raise EnvironmentFailedError(self.prepared.id, f"{failure.type}: {failure.message}")
        self._finish(self._begin(failure), Timing())

    def _end(self, timing: Timing) -> None:
        """Records that the cell is complete; the times of its parts add up."""
        cell = self._begin()
        self._finish(cell, cell.timing + timing)

    def _begin(self, error: Failure | None = None) -> Cell:
        """Returns the cell, whose header is written first where the file is new."""
        if self.cell is None:
            self.cell = make_cell(self.request, self.info or self._planned(), self.tasks, error)
            self.writer.header(self.cell)
        return self.cell

    def _planned(self) -> EnvironmentInfo:
        prepared = self.prepared
        return plan_info(prepared.name, prepared.versions, prepared.device, self.request.world_size)

    def _finish(self, cell: Cell, timing: Timing) -> None:
        cases = tuple(self.cases.values())
        self.writer.end(cases, timing)
        self.cell = add_cases(replace(cell, timing=round_times(timing)), cases, ended=True)


def _with_commits(packages: Mapping[str, str], environment: Environment | None) -> dict[str, str]:
    """Returns `packages`, with the commit of those that the environment pins to one: 5.24.0.dev0+git.<40 digits>.

    A branch's version does not say where on it. `matrix.environments.source_builds` sees that this commit is installed.
    """
    commits = environment.commits if environment else {}
    return {**packages, **{name: f"{packages.get(name, '')}+git.{commit}" for name, commit in commits.items()}}

"""Measure a duel: base and head of one package, reruns of what differs, or a reference beside them.

Results are OUT/<role>/<environment id>.jsonl and nothing else; logs are kept beside OUT, in logs/<duel>/<role>. The
probe's messages come from a process that runs the code under test: `matrix.process.sandbox` says what can be believed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matrix.catalog.select import select
from matrix.comparison.compare import Role, compare, suspects
from matrix.comparison.outcome import Outcome
from matrix.comparison.plan import ComparisonPlan, Duel, Side
from matrix.environments.packages import PROJECT
from matrix.environments.source_builds import checkout
from matrix.environments.spec import Environment, pinned
from matrix.errors import UnknownNameError
from matrix.job import Task
from matrix.measure.cell import UNFINISHED, measure, salvage
from matrix.measure.probe_process import OURS, Setup
from matrix.measure.request import Progress, Request
from matrix.measure.tasks import plan, remaining
from matrix.model import Architecture, Case, CaseKey, Cell, Run
from matrix.process.sandbox import Isolation, Sandbox, harmless


@dataclass(frozen=True)
class Means:
    """What a duel is measured with; `known` are the environments whose first is the newest pair, `venvs` their folder."""

    architectures: tuple[Architecture, ...]
    known: tuple[Environment, ...]
    venvs: Path
    device: str = "auto"
    sandbox: Sandbox | None = None


def named(comparison: ComparisonPlan, name: str) -> Duel:
    """The duel of that name; raises UnknownNameError."""
    found = next((duel for duel in comparison.duels if duel.name == name), None)
    if found is None:
        raise UnknownNameError("duel", [name], [duel.name for duel in comparison.duels])
    return found


def selected(duel: Duel, known: Sequence[Architecture], globs: Sequence[str]) -> tuple[Architecture, ...]:
    """The duel's architectures that match one of `globs`; raises UnknownNameError, also for one that is not `known`."""
    entries = {architecture.id: architecture for architecture in known}
    if unknown := [name for name in duel.architectures if name not in entries]:
        raise UnknownNameError("architecture", unknown, list(entries))
    return select([entries[name] for name in duel.architectures], globs)


class _Told:
    """Progress of one role; what comes from the code under test cannot command the log that it is shown in."""

    def __init__(self, role: Role, progress: Progress) -> None:
        self.role, self.progress = role, progress

    def begin(self, environment: str, cases: int) -> None:
        self.progress.begin(f"{self.role} {environment}", cases)

    def step(self, words: str) -> None:
        self.progress.step(f"{self.role}: {harmless(words)}")

    def case(self, case: Case) -> None:
        self.progress.case(case)


@dataclass(frozen=True)
class _Session:
    duel: Duel
    out: Path
    progress: Progress
    means: Means

    @property
    def tasks(self) -> tuple[Task, ...]:
        return plan(self.means.architectures, self.duel.loaders, self.duel.checks)

    def side(self, role: Role) -> Side | None:
        return next((side for side in self.duel.sides if side.role is role), None)

    def measured(self, side: Side, role: Role, tasks: Sequence[Task]) -> Run:
        """What `tasks` give on `side`, measured as `role`; without a usable cell one that says why."""
        told = _Told(role, self.progress)
        request = self._request(side, role, tasks)
        told.step("begins")
        try:
            cell = measure(replace(request, setup=self._setup(side)), told)
        except UNFINISHED as error:
            cell = salvage(request, error, told)
        _tidy(request, cell)
        return Run((cell,))

    def _request(self, side: Side, role: Role, tasks: Sequence[Task]) -> Request:
        return Request(
            out=self.out / role,
            tasks=tuple(tasks),
            environment=pinned(side.pins, self.means.known),
            venv=self._folder(side),
            device=self.means.device,
            resume=True,
            logs=self.out.resolve().parent / "logs" / self.duel.name / role,
        )

    def _folder(self, side: Side) -> Path:
        return self.means.venvs / f"{self.duel.name}-{side.role}"

    def _setup(self, side: Side) -> Setup:
        sandbox = self.means.sandbox
        pin = side.pins.get(PROJECT)
        if pin is None:
            return replace(OURS, sandbox=sandbox)
        folder = self._folder(side)
        root = checkout(pin, folder.with_name(f"{folder.name}-probe"), sandbox or Sandbox(Isolation.NONE))
        return Setup(root.resolve(), sandbox)

    def rerun(self, roles: Mapping[Role, Role], keys: Sequence[CaseKey]) -> dict[Role, Run]:
        """What `keys` give on the sides that `roles` names, each measured as the role it is mapped to."""
        asked = [key for task in self.tasks for key in task.keys]
        tasks = remaining(self.tasks, set(asked) - set(keys))
        sides = [(side, measured_as) for role, measured_as in roles.items() if (side := self.side(role))]
        return {role: self.measured(side, role, tasks) for side, role in sides} if tasks else {}


def _tidy(request: Request, cell: Cell) -> None:
    """Move what is not the cell out of the folder whose content is uploaded."""
    for file in request.out.iterdir():
        if file.name != f"{cell.environment.id}.jsonl" and request.logs:
            request.logs.mkdir(parents=True, exist_ok=True)
            file.rename(request.logs / file.name)


def run(duel: Duel, out: Path, progress: Progress, means: Means) -> None:
    """Measure `duel` into `out`, going on from what is there.

    An environment that cannot be installed, or a probe that ends early, is in the records, and the rest is measured.
    Raises the classes of `matrix.errors` that no other side would be spared: output, devices.
    """
    session = _Session(duel, out, progress, means)
    others = (Role.BASE_OTHER, Role.HEAD_OTHER)
    runs = {
        side.role: session.measured(side, side.role, session.tasks) for side in duel.sides if side.role not in others
    }
    if Role.BASE not in runs or Role.HEAD not in runs:
        return
    differing = suspects(runs[Role.BASE], runs[Role.HEAD])
    runs |= session.rerun({Role.BASE: Role.BASE_AGAIN, Role.HEAD: Role.HEAD_AGAIN}, differing)
    regressed = [found.key for found in compare(runs, differing).of(Outcome.REGRESSED)]
    session.rerun(dict(zip(others, others, strict=True)), regressed)

"""PURE. The artifacts of a comparison's jobs, which ran a stranger's code: bytes in, believed runs out.

What a duel should have measured is told by the plan, never by what it uploaded. An artifact's claim counts where it is
what this project writes, about an environment and cases that the plan names; the rest is refused, in our own words.

PURE: no input or output.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.github.types import ArtifactInfo, JobResult
from bot.text import Sentence, clip
from bot.untrusted.archive import Member, members
from bot.untrusted.match_plan import PARTS, planned
from bot.untrusted.strict_records import LIMITS, HostileError, Limits, strict_cell
from matrix.comparison.compare import Role
from matrix.comparison.plan import ComparisonPlan, Duel
from matrix.model import Cell, Run


@dataclass(frozen=True)
class Refused:
    """What of a duel does not count, in words; the cases it would have decided were not run."""

    duel: str
    reason: Sentence


def artifact_name(duel: Duel) -> str:
    """The name that a duel's job uploads its results under."""
    return f"zero3-{duel.name}"


def wanted(artifacts: Iterable[ArtifactInfo], plan: ComparisonPlan) -> dict[str, ArtifactInfo]:
    """The newest artifact of each planned duel, by the duel's name. A rerun of a job uploads once more."""
    names = {artifact_name(duel): duel.name for duel in plan.duels}
    listed = [artifact for artifact in artifacts if artifact.name in names and not artifact.expired]
    return {names[artifact.name]: artifact for artifact in sorted(listed, key=lambda artifact: artifact.id)}


def runs_of(
    archives: Mapping[str, bytes | Refused], plan: ComparisonPlan, jobs: Sequence[JobResult], limits: Limits = LIMITS
) -> tuple[dict[Role, Run], tuple[Refused, ...]]:
    """What to believe of `archives`, by the name of their duel, and why the rest is not believed; raises nothing.

    An archive that could not be downloaded is given as the reason. `jobs` are the workflow run's, as GitHub tells:
    of a duel whose job did not succeed no run is complete, of one without a job nothing counts.
    """
    cells: dict[Role, list[Cell]] = {}
    refused: list[Refused] = []
    for duel in plan.duels:
        found, problems = _duel(duel, archives.get(duel.name), _conclusion(duel, jobs), limits)
        refused += [Refused(duel.name, problem) for problem in problems]
        for role, cell in found.items():
            cells.setdefault(role, []).append(cell)
    return {role: Run(tuple(cells[role])) for role in Role if role in cells}, tuple(refused)


def _conclusion(duel: Duel, jobs: Iterable[JobResult]) -> str | None:
    """How the duel's job ended: `success` only if every job of its name did so; None without one.

    GitHub shows a job of a reusable workflow as `caller / job`, of a matrix as `job (values)`.
    """
    own = [job.conclusion for job in jobs if duel.name in re.split(r" / | \(|, |\)", job.name)]
    return next((conclusion for conclusion in own if conclusion != "success"), "success" if own else None)


def _duel(
    duel: Duel, archive: bytes | Refused | None, conclusion: str | None, limits: Limits
) -> tuple[dict[Role, Cell], list[Sentence]]:
    if conclusion in (None, "skipped"):
        return {}, [("its job did not run",)]
    problems = [] if conclusion == "success" else [_ended(conclusion or "")]
    if archive is None or isinstance(archive, Refused):
        return {}, [*problems, archive.reason if archive else ("its job uploaded no results",)]
    try:
        files = members(archive, limits)
    except HostileError as error:
        return {}, [*problems, error.reason]
    cells, wrong = _cells(duel, files, limits)
    if conclusion != "success":
        cells = {role: replace(cell, complete=False) for role, cell in cells.items()}
    return cells, problems + wrong


def _ended(conclusion: str) -> Sentence:
    if not conclusion:
        return ("its job has not ended",)
    return ("its job ended as ", clip(conclusion), ": what it had not measured by then was not run")


def _cells(duel: Duel, files: Sequence[Member], limits: Limits) -> tuple[dict[Role, Cell], list[Sentence]]:
    cells: dict[Role, Cell] = {}
    problems: list[Sentence] = []
    for file in files:
        shown = clip(f"{file.role}/{file.stem}.jsonl")
        try:
            cells[file.role] = planned(strict_cell(file.content, limits), duel, file)
        except HostileError as error:
            problems.append((shown, " ", *error.reason))
    told = {file.role for file in files}
    absent = [side.role for side in duel.sides if side.role not in told | PARTS]
    return cells, [*problems, *((f"it holds no results of the {role}",) for role in absent)]

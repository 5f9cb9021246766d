"""Reads the artifacts of a comparison's jobs, which ran a stranger's code: bytes in, believed runs out.

The plan says what a job should have measured, never the artifact (see `bot.pull_requests.assess.recompute_plan`). A claim
of an artifact counts where it is what this project writes, about an environment and cases that the plan names; the rest
is rejected, in our own words.

PURE: no input or output.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.github.types import ArtifactInfo, JobResult
from bot.text import Sentence, clip
from bot.untrusted.archive import Member, read_members
from bot.untrusted.match_plan import PARTS, match_plan
from bot.untrusted.strict_records import LIMITS, ArtifactLimits, HostileError, parse_cell
from matrix.comparison.compare import Role
from matrix.comparison.plan import ComparisonJob, ComparisonPlan
from matrix.model import Cell, Run


@dataclass(frozen=True)
class Rejected:
    """Results of a comparison job that do not count, and why; the cases that they would have decided were not run."""

    job: str
    reason: Sentence


def artifact_name(job: ComparisonJob) -> str:
    """Returns the name that a comparison job uploads its results under."""
    return f"zero3-{job.name}"


def select_artifacts(artifacts: Iterable[ArtifactInfo], plan: ComparisonPlan) -> dict[str, ArtifactInfo]:
    """Returns the newest artifact of each planned job, by the job's name. A rerun of a job uploads once more."""
    names = {artifact_name(job): job.name for job in plan.jobs}
    listed = [artifact for artifact in artifacts if artifact.name in names and not artifact.expired]
    # By id, because the ids are GitHub's and only grow, so that the last one of a name wins.
    return {names[artifact.name]: artifact for artifact in sorted(listed, key=lambda artifact: artifact.id)}


def read_runs(
    archives: Mapping[str, bytes | Rejected],
    plan: ComparisonPlan,
    jobs: Sequence[JobResult],
    limits: ArtifactLimits = LIMITS,
) -> tuple[dict[Role, Run], tuple[Rejected, ...]]:
    """Returns what to believe of `archives`, by the name of their job, and why the rest is rejected; raises nothing.

    For an archive that could not be downloaded, pass the reason. `jobs` are the workflow run's, from GitHub: no run of a
    job that did not succeed is complete, and nothing counts of a planned job that GitHub does not list.
    """
    cells: dict[Role, list[Cell]] = {}
    rejected: list[Rejected] = []
    for job in plan.jobs:
        found, problems = _read_job(job, archives.get(job.name), _conclusion(job, jobs), limits)
        rejected += [Rejected(job.name, problem) for problem in problems]
        for role, cell in found.items():
            cells.setdefault(role, []).append(cell)
    return {role: Run(tuple(cells[role])) for role in Role if role in cells}, tuple(rejected)


def _conclusion(job: ComparisonJob, jobs: Iterable[JobResult]) -> str | None:
    """Returns how the job ended: `success` only if every job of its name did so; None without one.

    GitHub shows a job of a reusable workflow as `caller / job`, of a matrix as `job (values)`.
    """
    # All jobs of the name have to agree: a pull request can add a second one that succeeds.
    own = [each.conclusion for each in jobs if job.name in re.split(r" / | \(|, |\)", each.name)]
    return next((conclusion for conclusion in own if conclusion != "success"), "success" if own else None)


def _read_job(
    job: ComparisonJob, archive: bytes | Rejected | None, conclusion: str | None, limits: ArtifactLimits
) -> tuple[dict[Role, Cell], list[Sentence]]:
    if conclusion in (None, "skipped"):
        return {}, [("its job did not run",)]
    problems = [] if conclusion == "success" else [_ended(conclusion or "")]
    if archive is None or isinstance(archive, Rejected):
        return {}, [*problems, archive.reason if archive else ("its job uploaded no results",)]
    try:
        files = read_members(archive, limits)
    except HostileError as error:
        return {}, [*problems, error.reason]
    cells, wrong = _cells(job, files, limits)
    if conclusion != "success":
        # The file may have an `end` that was forged before the job was stopped.
        cells = {role: replace(cell, complete=False) for role, cell in cells.items()}
    return cells, problems + wrong


def _ended(conclusion: str) -> Sentence:
    if not conclusion:
        return ("its job has not ended",)
    return ("its job ended as ", clip(conclusion), ": cases that it had not measured by then count as not run")


def _cells(
    job: ComparisonJob, files: Sequence[Member], limits: ArtifactLimits
) -> tuple[dict[Role, Cell], list[Sentence]]:
    cells: dict[Role, Cell] = {}
    problems: list[Sentence] = []
    for file in files:
        shown = clip(f"{file.role}/{file.stem}.jsonl")
        try:
            cells[file.role] = match_plan(parse_cell(file.content, limits), job, file)
        except HostileError as error:
            problems.append((shown, " ", *error.reason))
    present = {file.role for file in files}
    absent = [revision.role for revision in job.revisions if revision.role not in present | PARTS]
    return cells, [*problems, *((f"it has no results of the {role}",) for role in absent)]

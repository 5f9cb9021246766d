"""Plans what is measured for a pull request, from what it affects.

PURE: no input or output.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from packaging.version import Version

from bot.github.types import PullRequest, Revision
from bot.loading_code.affected import Affected
from bot.pull_requests.commit_sources import GITHUB, CommitSources, find_package, pin_commit
from bot.text import clip, join_words
from matrix.checks import DEFAULT
from matrix.comparison.compare import DETECTING, Role
from matrix.comparison.plan import ComparisonJob, ComparisonPlan, PlannedRevision
from matrix.environments.choose import select_set
from matrix.environments.packages import CROSSED, PACKAGES, PROJECT
from matrix.environments.spec import Environment
from matrix.errors import USAGE, MatrixError
from matrix.model import Architecture, CaseKey, Check, Precision
from matrix.text import join_lines

NAMED: Final = 8
"""How many models without an architecture are named."""

CANARIES: Final = ("deepseek_v3:DeepseekV3ForCausalLM", "segformer:SegformerForSemanticSegmentation")
"""Always planned: a router and a BatchNorm that every measured release loads, the last broken one wrongly."""

MAX_JOBS: Final = 256
"""GitHub's limit of jobs in one matrix: https://docs.github.com/en/actions/reference/limits."""


class TooManyJobsError(MatrixError):
    """A plan has more jobs than GitHub runs in one matrix."""

    exit_code: ClassVar[int] = USAGE

    def __init__(self, jobs: int) -> None:
        super().__init__(
            f"{jobs} comparison jobs are planned, but GitHub allows at most {MAX_JOBS} in one matrix: plan fewer"
        )


def build_plan(
    pull_request: PullRequest,
    affected: Affected,
    catalog: Sequence[Architecture],
    environments: Sequence[Environment],
    sources: CommitSources = GITHUB,
) -> ComparisonPlan:
    """Plans what to measure for a pull request; no jobs when it touches no loading code.

    The first of `environments` is the newest pair, that of the set `last-broken` the last with the buffers bug. Raises
    RevisionError, and UnknownNameError for a repository of no known package or when that set is missing.
    """
    jobs: tuple[ComparisonJob, ...] = ()
    if affected:
        measured = tuple(architecture.id for architecture in catalog if _wanted(architecture, affected))
        jobs = tuple(_plan_jobs(pull_request, environments, sources, measured, affected.checks or DEFAULT.checks))
    base, head = pull_request.base.sha, pull_request.head.sha
    return ComparisonPlan(pull_request.repository, pull_request.number, base, head, jobs)


def narrow_plan(comparison: ComparisonPlan, architectures: Collection[str]) -> ComparisonPlan:
    """Returns `comparison` with only these architectures and the canaries; without jobs where none of these was planned."""
    jobs = [
        replace(job, architectures=tuple(name for name in job.architectures if name in {*architectures, *CANARIES}))
        for job in comparison.jobs
    ]
    asked = any(name in architectures for job in jobs for name in job.architectures)
    return replace(comparison, jobs=tuple(jobs) if asked else ())


def describe_unplanned(affected: Affected, catalog: Sequence[Architecture]) -> tuple[str, ...]:
    """Returns what is affected but not measured, in words; the names in them come from outside."""
    unknown = [folder for folder in affected.models if not any(_in_folder(entry, folder) for entry in catalog)]
    if not unknown:
        return ()
    names = [join_lines(clip(folder)) for folder in dict.fromkeys(unknown)]
    named = join_words([*names[:NAMED], *([f"{len(names) - NAMED} more"] if len(names) > NAMED else [])])
    return (f"the catalog has no architecture of {named}: loading these models is not measured",)


def list_expected_cases(plan: ComparisonPlan) -> dict[str, tuple[CaseKey, ...]]:
    """Returns the cases that each job has to decide, by the job's name."""
    return {job.name: job.keys for job in plan.jobs}


def build_github_matrix(plan: ComparisonPlan) -> dict[str, Any]:
    """Returns the `strategy.matrix` of a GitHub workflow for this plan; raises TooManyJobsError beyond GitHub's limit.

    GitHub rejects an empty matrix: the workflow skips the job of an empty plan.
    """
    if len(plan.jobs) > MAX_JOBS:
        raise TooManyJobsError(len(plan.jobs))
    return {"include": [{"duel": job.name} for job in plan.jobs]}


def _wanted(architecture: Architecture, affected: Affected) -> bool:
    """Tests whether a change affects an architecture. Most code is a model's own: the canaries cover the rest."""
    touched = any(_in_folder(architecture, folder) for folder in affected.models)
    return affected.everything or touched or architecture.id in CANARIES


def _in_folder(architecture: Architecture, folder: str) -> bool:
    """Tests whether a folder of transformers' models has an architecture's code: `rt_detr` has `rt_detr_resnet` as well."""
    name = architecture.model_type.replace("-", "_")
    return name == folder or name.startswith(f"{folder}_")


def _plan_jobs(
    pull_request: PullRequest,
    environments: Sequence[Environment],
    sources: CommitSources,
    architectures: tuple[str, ...],
    checks: tuple[Check, ...],
) -> Iterator[ComparisonJob]:
    package = find_package(pull_request.repository, sources)
    revisions = _plan_revisions(pull_request, package, environments, sources.address)
    # What this project's own pull request changes is the detector: the references are measured by its head too.
    own = {PROJECT: revisions[1].pins[PROJECT]} if package == PROJECT else {}
    yield ComparisonJob("pair", revisions, architectures, checks=checks)
    newest = PlannedRevision(Role.NEWEST, {**_pins(environments[0]), **own})
    yield ComparisonJob("newest", (newest,), architectures, checks=checks)
    last_broken = PlannedRevision(Role.LAST_BROKEN, {**_pins(_last_broken(environments)), **own})
    yield ComparisonJob(
        "last-broken", (last_broken,), architectures, checks=(DETECTING,), precisions=(Precision.FLOAT32,)
    )


def _plan_revisions(
    pull_request: PullRequest, package: str, environments: Sequence[Environment], address: str
) -> tuple[PlannedRevision, ...]:
    """Returns base and head with the newest other package, then both with an older release of it, if there is one."""
    other = PACKAGES[package].partner
    base, head = pull_request.base, pull_request.head
    # A deleted fork has no name. Its commits are fetched from where the pull request is, which keeps them.
    head = head if head.repository else Revision(pull_request.repository, head.sha)
    commits = [pin_commit(revision, package, address) for revision in (base, head)]
    newest, older = _pins(environments[0]), _older(other, environments)
    combinations = {(Role.BASE, Role.HEAD): newest}
    if older:
        combinations[Role.BASE_OTHER, Role.HEAD_OTHER] = {**newest, other: older}
    return tuple(
        PlannedRevision(role, {**pins, package: commit})
        for roles, pins in combinations.items()
        for role, commit in zip(roles, commits, strict=True)
    )


def _pins(environment: Environment) -> dict[str, str]:
    return {package: environment.pins[package] for package in CROSSED}


def _older(other: str, environments: Sequence[Environment]) -> str:
    """Returns the newest version of `other` from an earlier release line than the newest; empty where there is none."""
    newest = _pins(environments[0])
    (rest,) = newest.keys() - {other}
    crossed = [pins[other] for pins in map(_pins, environments) if pins[rest] == newest[rest]]
    before = [pin for pin in crossed if Version(pin).release[:2] < Version(newest[other]).release[:2]]
    return max(before, key=Version, default="")


def _last_broken(environments: Sequence[Environment]) -> Environment:
    return select_set(str(Role.LAST_BROKEN), environments)[0]

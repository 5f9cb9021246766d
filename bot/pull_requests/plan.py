"""PURE. From a pull request and what it affects to everything that is measured for it.

PURE: no input or output.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

from packaging.version import Version

from bot.github.types import PullRequest, Revision
from bot.loading_code.affected import Affected
from bot.text import clip, listed, one_line
from matrix.checks import CHECKS
from matrix.comparison.compare import DETECTING, Role
from matrix.comparison.plan import ComparisonPlan, Duel, Side
from matrix.environments.packages import CROSSED, PACKAGES, PROJECT
from matrix.environments.spec import Environment, of_set
from matrix.errors import USAGE, MatrixError, UnknownNameError
from matrix.model import Architecture, CaseKey, Check

NAMED: Final = 8
"""How many models without an architecture are named."""

SENTINELS: Final = ("deepseek_v3:DeepseekV3ForCausalLM", "segformer:SegformerForSemanticSegmentation")
"""A router and a BatchNorm that every measured release loads, and the last broken one wrongly: they are always planned."""

MAX_DUELS: Final = 256
"""GitHub's limit of jobs in one matrix: https://docs.github.com/en/actions/reference/limits."""

_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_.-]+")
_SHA: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Sources:
    """Where commits are cloned from, and which package a repository holds, by its name without the owner.

    Names are in lower case; forks and former owners share them.
    """

    address: str = "https://github.com/"
    packages: Mapping[str, str] = field(
        default_factory=lambda: {
            known: name for name, package in PACKAGES.items() for known in package.repository_names
        }
    )


GITHUB: Final = Sources()


class RevisionError(MatrixError):
    """What should be a commit of a repository is none: nothing is installed from it."""

    exit_code: ClassVar[int] = USAGE

    def __init__(self, revision: Revision) -> None:
        super().__init__(
            f"{revision.repository!r} at {revision.sha!r} is no commit: "
            "name the repository as owner/name and the commit with all its 40 hexadecimal digits"
        )


class TooManyDuelsError(MatrixError):
    """More jobs than GitHub runs in one matrix."""

    exit_code: ClassVar[int] = USAGE

    def __init__(self, duels: int) -> None:
        super().__init__(f"{duels} duels are more than the {MAX_DUELS} jobs of a GitHub matrix: plan fewer")


def plan(
    pull_request: PullRequest,
    affected: Affected,
    catalog: Sequence[Architecture],
    environments: Sequence[Environment],
    sources: Sources = GITHUB,
) -> ComparisonPlan:
    """What to measure for a pull request; no duels when it touches no loading code.

    The first of `environments` is the newest pair, that of the set `last-broken` the last with the buffers bug. Raises
    RevisionError, and UnknownNameError for a repository of no known package or when that set is missing.
    """
    duels: tuple[Duel, ...] = ()
    if affected:
        measured = tuple(architecture.id for architecture in catalog if _wanted(architecture, affected))
        duels = tuple(_duels(pull_request, environments, sources, measured, affected.checks or tuple(CHECKS)))
    base, head = pull_request.base.sha, pull_request.head.sha
    return ComparisonPlan(pull_request.repository, pull_request.number, base, head, duels)


def narrowed(comparison: ComparisonPlan, architectures: Collection[str]) -> ComparisonPlan:
    """`comparison` with only these architectures beside the sentinels; without duels where none of them was planned."""
    duels = [
        replace(duel, architectures=tuple(name for name in duel.architectures if name in {*architectures, *SENTINELS}))
        for duel in comparison.duels
    ]
    asked = any(name in architectures for duel in duels for name in duel.architectures)
    return replace(comparison, duels=tuple(duels) if asked else ())


def unplanned(affected: Affected, catalog: Sequence[Architecture]) -> tuple[str, ...]:
    """What is affected but not measured, in words; the names in them come from outside."""
    unknown = [folder for folder in affected.models if not any(_in_folder(entry, folder) for entry in catalog)]
    if not unknown:
        return ()
    names = [one_line(clip(folder)) for folder in dict.fromkeys(unknown)]
    named = listed([*names[:NAMED], *([f"{len(names) - NAMED} more"] if len(names) > NAMED else [])])
    return (f"the catalog has no architecture of {named}: what these models load is not measured itself",)


def expected_keys(plan: ComparisonPlan) -> dict[str, tuple[CaseKey, ...]]:
    """The cases that each duel is to decide, by the duel's name."""
    return {
        duel.name: tuple(
            CaseKey(architecture, loader, check)
            for architecture in duel.architectures
            for loader in duel.loaders
            for check in duel.checks
        )
        for duel in plan.duels
    }


def github_matrix(plan: ComparisonPlan) -> dict[str, Any]:
    """The value of a GitHub job's `strategy.matrix`: a job for each duel; TooManyDuelsError beyond GitHub's limit.

    GitHub refuses an empty matrix: a job of a plan without duels is to be skipped.
    """
    if len(plan.duels) > MAX_DUELS:
        raise TooManyDuelsError(len(plan.duels))
    return {"include": [{"duel": duel.name} for duel in plan.duels]}


def _wanted(architecture: Architecture, affected: Affected) -> bool:
    """Whether a change wants an architecture measured. Nearly everything is a model's own: the sentinels see the rest."""
    touched = any(_in_folder(architecture, folder) for folder in affected.models)
    return affected.everything or touched or architecture.id in SENTINELS


def _in_folder(architecture: Architecture, folder: str) -> bool:
    """Whether a folder of transformers' models has an architecture's code: `rt_detr` has `rt_detr_resnet` as well."""
    name = architecture.model_type.replace("-", "_")
    return name == folder or name.startswith(f"{folder}_")


def _duels(
    pull_request: PullRequest,
    environments: Sequence[Environment],
    sources: Sources,
    architectures: tuple[str, ...],
    checks: tuple[Check, ...],
) -> Iterator[Duel]:
    package = _package(pull_request.repository, sources)
    sides = _sides(pull_request, package, environments, sources.address)
    # What this project's own pull request changes is the detector: the references are measured by its head too.
    own = {PROJECT: sides[1].pins[PROJECT]} if package == PROJECT else {}
    yield Duel("pair", sides, architectures, checks=checks)
    newest = Side(Role.NEWEST, {**_pins(environments[0]), **own})
    yield Duel("newest", (newest,), architectures, checks=checks)
    last_broken = Side(Role.LAST_BROKEN, {**_pins(_last_broken(environments)), **own})
    yield Duel("last-broken", (last_broken,), architectures, checks=(DETECTING,))


def _sides(
    pull_request: PullRequest, package: str, environments: Sequence[Environment], address: str
) -> tuple[Side, ...]:
    """Base and head beside the newest other package, then both beside an older release of it, if there is one."""
    other = PACKAGES[package].partner
    base, head = pull_request.base, pull_request.head
    # A deleted fork has no name. Its commits are fetched from where the pull request is, which keeps them.
    head = head if head.repository else Revision(pull_request.repository, head.sha)
    commits = [_commit(revision, package, address) for revision in (base, head)]
    newest, older = _pins(environments[0]), _older(other, environments)
    beside = {(Role.BASE, Role.HEAD): newest}
    if older:
        beside[Role.BASE_OTHER, Role.HEAD_OTHER] = {**newest, other: older}
    return tuple(
        Side(role, {**pins, package: commit})
        for roles, pins in beside.items()
        for role, commit in zip(roles, commits, strict=True)
    )


def _package(repository: str, sources: Sources) -> str:
    name = repository.rpartition("/")[2].lower()
    if name not in sources.packages:
        raise UnknownNameError("repository", [repository], sorted(sources.packages))
    return sources.packages[name]


def _commit(revision: Revision, package: str, address: str) -> str:
    """The pin of a commit; whatever else might be in a name would reach the installer."""
    if not (_REPOSITORY.fullmatch(revision.repository) and _SHA.fullmatch(revision.sha)):
        raise RevisionError(revision)
    return PACKAGES[package].located(f"git+{address}{revision.repository}@{revision.sha}")


def _pins(environment: Environment) -> dict[str, str]:
    return {package: environment.pins[package] for package in CROSSED}


def _older(other: str, environments: Sequence[Environment]) -> str:
    """The newest version of `other` from a release line before the newest, with the rest the newest; empty if none."""
    newest = _pins(environments[0])
    (rest,) = newest.keys() - {other}
    beside = [pins[other] for pins in map(_pins, environments) if pins[rest] == newest[rest]]
    before = [pin for pin in beside if Version(pin).release[:2] < Version(newest[other]).release[:2]]
    return max(before, key=Version, default="")


def _last_broken(environments: Sequence[Environment]) -> Environment:
    return of_set(str(Role.LAST_BROKEN), environments)[0]

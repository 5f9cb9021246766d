"""The plan of a comparison: base and head of one package, and references, written as JSON."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from matrix.checks import DEFAULT, Axes, case_keys
from matrix.comparison.compare import Role
from matrix.environments.packages import PACKAGES
from matrix.environments.pins import ADDRESS, is_version
from matrix.model import ARCHITECTURE_ID, CaseKey, Check, Loader, Precision
from matrix.plans import PlanFormat


@dataclass(frozen=True)
class PlannedRevision:
    """What one run of a comparison installs: the pin of each package of packages.toml that has one.

    A pin is a version, a `git+https://...@<40 hexadecimal digits>` address or a source folder.
    """

    role: Role
    pins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ComparisonJob:
    """What one machine measures of a comparison. Its artifact is called `zero3-` and `name`.

    With the revisions base and head it measures both, reruns what differs on both, and tries what still looks regressed
    with the `other` revisions. A job with one revision is a reference. `architectures` are catalog ids.
    """

    name: str
    revisions: Annotated[tuple[PlannedRevision, ...], Field(alias="sides")]
    architectures: tuple[str, ...]
    loaders: tuple[Loader, ...] = (Loader.STOCK,)
    checks: tuple[Check, ...] = DEFAULT.checks
    precisions: tuple[Precision, ...] = DEFAULT.precisions

    @property
    def axes(self) -> Axes:
        """How each architecture is measured."""
        return Axes(self.loaders, self.checks, self.precisions)

    @property
    def keys(self) -> tuple[CaseKey, ...]:
        """The cases that each revision has to decide."""
        return tuple(key for architecture in self.architectures for key in case_keys(architecture, self.axes.variants))


@dataclass(frozen=True)
class ComparisonPlan:
    """Everything a comparison measures, for one pull request at one commit."""

    repository: str
    number: int
    base_sha: str
    head_sha: str
    jobs: Annotated[tuple[ComparisonJob, ...], Field(alias="duels")]


_NAME = re.compile(r"[a-z0-9][a-zA-Z0-9._-]{0,99}")
_SHA = re.compile(r"[0-9a-f]{40}")


def _find_problems(comparison: ComparisonPlan) -> Iterator[str]:
    if not (_SHA.fullmatch(comparison.base_sha) and _SHA.fullmatch(comparison.head_sha)):
        yield "base_sha and head_sha are 40 hexadecimal digits"
    names = [job.name for job in comparison.jobs]
    if len(set(names)) < len(names):
        yield "two jobs have the same name"
    for job in comparison.jobs:
        yield from (f"job {job.name!r}: {problem}" for problem in _find_job_problems(job))


def _find_job_problems(job: ComparisonJob) -> Iterator[str]:
    roles = {revision.role for revision in job.revisions}
    if not _NAME.fullmatch(job.name):
        yield "its name is not a valid folder name"
    if not roles or len(roles) < len(job.revisions) or roles & {Role.BASE_RERUN, Role.HEAD_RERUN}:
        yield "it must have revisions, no role twice, and no rerun"
    if not ({Role.BASE, Role.HEAD} <= roles or (len(roles) == 1 and roles <= {Role.NEWEST, Role.LAST_BROKEN})):
        yield "it must have base and head, or a single reference"
    if not job.keys:
        yield "it measures nothing"
    if unknown := [name for name in job.architectures if not ARCHITECTURE_ID.fullmatch(name)]:
        yield f"{unknown[0]!r} is not an architecture"
    for name, pin in (pair for revision in job.revisions for pair in revision.pins.items()):
        if name not in PACKAGES or not _known_pin(pin):
            yield f"{name!r} {pin!r} is not a pin"


def _known_pin(pin: str) -> bool:
    return is_version(pin) or bool(ADDRESS.fullmatch(pin)) or ("://" not in pin and Path(pin).is_dir())


FORMAT: Final = PlanFormat(ComparisonPlan, "comparison plan", "zero3 bot plan", _find_problems)
plan_to_json, plan_from_json, read_plan = FORMAT.to_json, FORMAT.from_json, FORMAT.read

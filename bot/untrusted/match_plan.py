"""Compares the cell that a stranger's code claims to have measured with the plan.

PURE: no input or output.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from bot.text import clip
from bot.untrusted.archive import Member
from bot.untrusted.consistency import find_contradiction, find_unplanned_package
from bot.untrusted.record_frame import find_odd_frame
from bot.untrusted.strict_records import HostileError
from matrix.comparison.compare import Role
from matrix.comparison.plan import ComparisonJob, PlannedRevision
from matrix.environments.packages import PINNED, RECORDED, REQUIRED
from matrix.environments.pins import label_pin, parse_id
from matrix.model import Case, Cell, EnvironmentInfo

LARGEST_WORLD: Final = 64
_RERUNS: Final = {Role.BASE_RERUN: Role.BASE, Role.HEAD_RERUN: Role.HEAD}
PARTS: Final = frozenset({*_RERUNS, Role.BASE_OTHER, Role.HEAD_OTHER})
"""Roles that measure only what differed, so that nobody but their own file knows how much that was."""

_ID: Final = re.compile(r"([\w.+-]+)\+(cpu|cuda)", re.ASCII)


def match_plan(cell: Cell, job: ComparisonJob, file: Member) -> Cell:
    """Returns `cell` as far as the plan asked for it; raises HostileError if it claims anything else or contradicts itself."""
    revisions = {revision.role: revision for revision in job.revisions}
    revision = revisions.get(_RERUNS.get(file.role, file.role))
    if revision is None:
        raise HostileError("is for a role that this job does not have")
    differences = _find_differences(cell.environment, revision, file.stem)
    if words := find_odd_frame(cell, revision.pins) or next(differences, ""):
        raise HostileError(words)
    keys = {*job.keys}
    for case in cell.cases:
        if case.key not in keys:
            raise HostileError("has a case that was not planned: ", clip(str(case.key)))
        if words := find_contradiction(case, cell.environment.world_size):
            raise HostileError("contradicts itself about ", clip(str(case.key)), f": {words}")
    if (unlike := _find_unlike(cell.cases)) is not None:
        raise HostileError(
            "says that the stock loader decided ", clip(str(unlike.key)), ", but not that it found the same"
        )
    if file.role in PARTS:
        # How much differed is known to the job alone, but it cannot be more than was planned.
        return replace(cell, planned=min(cell.planned, len(keys)))
    return replace(
        cell, planned=len(keys), complete=cell.complete and (cell.error is not None or len(cell.cases) == len(keys))
    )


def _find_unlike(cases: Sequence[Case]) -> Case | None:
    """Returns a case that another loader is said to have decided, but whose case is not there or differs; None without one."""
    found = {case.key: _evidence(case) for case in cases if case.measured_with is None}
    copies = ((case, case.key._replace(loader=case.measured_with)) for case in cases if case.measured_with)
    return next((case for case, twin in copies if found.get(twin) != _evidence(case)), None)


def _evidence(case: Case) -> tuple[object, ...]:
    # Not the reruns: a job that is stopped between the two records has one more of the stock loader.
    return case.verdict, case.findings, case.report, case.error


def _find_differences(info: EnvironmentInfo, revision: PlannedRevision, stem: str) -> Iterator[str]:
    """Yields how an environment differs from that of `revision`, in words. After the first, others may be wrong.

    A commit is known by its label in the id, a release by the version that was found as well.
    """
    found = _ID.fullmatch(info.id)
    named = parse_id(found[1]) if found else {}
    if not (found and named) or stem != info.id or found[2] != info.device or info.backend != info.device.backend:
        yield "has an environment id that does not fit its file or its device"
    if not 2 <= info.world_size <= LARGEST_WORLD:
        yield "has an impossible number of ranks"
    if unplanned := named.keys() - {*REQUIRED, *revision.pins}:
        yield f"pins {min(unplanned)}, which the plan does not"
    pinned = {name: named[name].replace("_", "+") for name in PINNED}
    for name, pin in {**pinned, **revision.pins}.items():
        if (name in RECORDED or name in named) and named.get(name) != label_pin(pin):
            yield f"names another {name} than planned"
    if other := find_unplanned_package(info, {**pinned, **revision.pins}):
        yield f"was measured with another {other} than planned"

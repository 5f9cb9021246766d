"""Checks what the machines of a nightly run uploaded, and says what is wrong with files that it does not believe.

Releases and branches of other projects ran on those machines. The plan and the catalog of the trusted side say what a
machine should have measured, never its file. That counts where it is what this project writes about the very cell that
was asked for, with the very cases.

PURE: no input or output.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bot.github.types import ArtifactInfo
from bot.nightly.input_changes import Digests, find_input_changes
from bot.text import clip, count, strip_marks
from bot.untrusted.archive import read_results
from bot.untrusted.consistency import find_contradiction, find_unplanned_package
from bot.untrusted.record_frame import find_odd_frame, parse_moment
from bot.untrusted.strict_records import MIB, ArtifactLimits, HostileError, parse_cell
from matrix.model import CaseKey, Cell
from matrix.nightly.plan import WORLD_SIZE, NightlyCell, NightlyPlan

ARTIFACT: Final = "zero3-"
LIMITS: Final = ArtifactLimits(archive=64 * MIB, member=64 * MIB, total=1024 * MIB, members=400, rows=60_000)
"""A shard may be the whole set: 100 cells of up to four times today's catalog."""

_DAY: Final = timedelta(days=1)
"""How far the clock of a machine may be off."""


@dataclass(frozen=True)
class CollectedFiles:
    """The files of a nightly run by the name of their cell: `believed` and `rejected` ones; `words` say what is wrong."""

    believed: Mapping[str, bytes]
    rejected: Mapping[str, bytes]
    words: tuple[str, ...]


def find_newest_artifacts(artifacts: list[ArtifactInfo], plan: NightlyPlan) -> dict[str, ArtifactInfo]:
    """Returns the newest artifact of each shard of the plan. A rerun of a job uploads another one."""
    names = {f"{ARTIFACT}{cell.shard}": cell.shard for cell in plan.cells}
    listed = sorted(artifacts, key=lambda artifact: artifact.id)
    return {names[one.name]: one for one in listed if one.name in names and not one.expired}


def collect_files(
    plan: NightlyPlan,
    cases: AbstractSet[CaseKey],
    archives: Mapping[str, bytes | str],
    now: datetime,
    limits: ArtifactLimits = LIMITS,
) -> CollectedFiles:
    """Returns the files in `archives`, which are by shard; one that could not be downloaded is the reason as text.

    Each cell of `plan` has exactly these `cases`. None was measured after `now`.
    """
    believed: dict[str, bytes] = {}
    rejected: dict[str, bytes] = {}
    words: list[str] = []
    for shard in sorted({cell.shard for cell in plan.cells}):
        try:
            files = _read_archive(archives.get(shard, "it uploaded no results"), limits)
        except HostileError as error:
            words.append(f"{shard}: {strip_marks(error.reason)}")
            continue
        for name, content, problem in _check_files(plan, shard, files, _Expected(plan, cases, now, limits)):
            (rejected if problem else believed)[name] = content
            words += [f"{shard}: {clip(name)}.jsonl {problem}"] if problem else []
    return CollectedFiles(believed, rejected, tuple(words))


def _read_archive(archive: bytes | str, limits: ArtifactLimits) -> dict[str, bytes]:
    if isinstance(archive, str):
        raise HostileError(archive)
    return read_results(archive, limits)


@dataclass(frozen=True)
class _Expected:
    """What the trusted side knows of every file: the plan, the cases of a cell, the time, and how large a file may be."""

    plan: NightlyPlan
    cases: AbstractSet[CaseKey]
    now: datetime
    limits: ArtifactLimits


def _check_files(
    plan: NightlyPlan, shard: str, files: Mapping[str, bytes], expected: _Expected
) -> Iterator[tuple[str, bytes, str]]:
    """Yields the name and content of each file, and what is wrong with it in words, empty where nothing is."""
    asked = {plan.name(cell): cell for cell in plan.of(shard)}
    for name, content in files.items():
        problem = "is for a cell that was not planned for this machine"
        if name in asked:
            problem = _find_problem(asked[name], content, expected)
        yield name, content, problem


def _find_problem(asked: NightlyCell, content: bytes, expected: _Expected) -> str:
    try:
        cell = parse_cell(content, expected.limits)
    except HostileError as error:
        return strip_marks(error.reason)
    problems = (*_find_other_environment(expected, asked, cell), *_find_other_cases(expected, cell))
    return next(iter(problems), "")


def _find_other_environment(expected: _Expected, asked: NightlyCell, cell: Cell) -> Iterator[str]:
    plan, info = expected.plan, cell.environment
    own = (plan.name(asked), plan.device, plan.device.backend, WORLD_SIZE)
    if (info.id, info.device, info.backend, info.world_size) != own:
        yield "is for another cell than its name says"
    for change in find_input_changes(asked.environment, cell, Digests(plan.catalog, plan.probe)):
        yield f"was measured with other inputs than planned: {change}"
    if other := find_unplanned_package(info, asked.environment.pins):
        yield f"was measured with another {other} than planned"
    if words := find_odd_frame(cell, asked.environment.pins):
        yield words
    # A machine that is run again keeps its plan, which may then be weeks old.
    started, planned = parse_moment(cell.started), parse_moment(plan.moment)
    if started and planned and not planned - _DAY <= started <= expected.now + _DAY:
        yield "says that it was measured before the plan or in the future"


def _find_other_cases(expected: _Expected, cell: Cell) -> Iterator[str]:
    if cell.planned != len(expected.cases):
        yield f"was planned with {count(cell.planned, 'case')}, not with {len(expected.cases):,}"
    for case in cell.cases:
        if case.key not in expected.cases:
            yield f"has a case that was not planned: {clip(str(case.key))}"
        if words := find_contradiction(case, cell.environment.world_size):
            yield f"contradicts itself about {clip(str(case.key))}: {words}"

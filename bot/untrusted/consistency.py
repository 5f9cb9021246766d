"""Finds records that contradict themselves: the project's own probe never writes them, a stranger's code might.

PURE: no input or output.
"""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from matrix.environments.packages import INSTALLABLE, RECORDED, installed
from matrix.environments.pins import find_commit, is_version
from matrix.model import (
    MOST_DIFFERENCES,
    SHOWN_NAMES,
    SHOWN_VALUES,
    Case,
    EnvironmentInfo,
    Failure,
    Finding,
    Kind,
    Loader,
    Note,
    Precision,
    ReportDifference,
)
from matrix.verdicts import Verdict

MOST_RUNS: Final = 100
MOST_CALLS: Final = 20
"""How many calls a case may have notes about. The check `save` has one; all other notes are about a tensor."""
_COMMIT: Final = re.compile(r"(?:\+git\.|@)([^+@#]*)")
"""Whatever a version or a pin has in the place of a commit."""


def find_contradiction(case: Case, world_size: int) -> str:
    """Returns the first contradiction in a case, in words; empty when there is none."""
    return next((words for wrong, words in _claims(case, world_size) if wrong), "")


def _claims(case: Case, world_size: int) -> Iterator[tuple[bool, str]]:
    """Yields for each possible contradiction whether it is there, and its words."""
    k, n = case.confirmed
    tensors = (case.tensors.buffers, case.tensors.parameters, case.tensors.nonpersistent)
    silent = {finding.kind for finding in case.findings if not finding.reported_missing}
    yield not _fits(case), f"its evidence does not fit the verdict {case.verdict}"
    yield case.verdict is Verdict.PASS and not any(tensors), "it passed, but compared nothing"
    yield (
        case.verdict is Verdict.REPORTED and bool(silent),
        "its verdict is reported, but some wrong tensors were not reported",
    )
    yield case.verdict is Verdict.CORRUPT and not silent, "its verdict is corrupt, but all wrong tensors were reported"
    yield (
        case.verdict is Verdict.CORRUPT and silent == {Kind.ROUNDED},
        "its verdict is corrupt, but what was not reported is only rounded",
    )
    yield (
        case.verdict is Verdict.NARROWED and silent != {Kind.ROUNDED},
        "its verdict is narrowed, but what was not reported is not rounded, or nothing is",
    )
    yield not 1 <= k <= n <= MOST_RUNS, "its numbers of reruns are impossible"
    yield (k < n) is not (case.verdict is Verdict.FLAKY), "its reruns do not fit its verdict"
    yield min(*tensors, case.seconds, case.load_seconds) < 0, "it has a negative count or time"
    yield (
        case.measured_with is not None
        and (case.loader, case.measured_with, case.precision) != (Loader.FIXED, Loader.STOCK, Precision.FLOAT32),
        "its loader was measured with another one, which is not the same code",
    )
    yield _repeated((finding.tensor, finding.kind) for finding in case.findings), "it has the same finding twice"
    yield any(_odd(finding, world_size) for finding in case.findings), "the ranks or values of a finding are impossible"
    yield any(_odd_note(note, world_size) for note in case.notes), "a note of it is impossible"
    # The probe merges ranks that say the same, so a rank has one note about a thing, and one difference in a part.
    yield (
        _repeated((note.about, rank) for note in case.notes for rank in note.ranks),
        "a rank has two notes about one thing",
    )
    yield len({note.about for note in case.notes}) > sum(tensors) + MOST_CALLS, "it has more notes than tensors"
    yield len(case.report) > MOST_DIFFERENCES, "its loading report has more differences than a case can have"
    yield (
        _repeated((one.part, rank) for one in case.report for rank in one.ranks),
        "a rank has two differences in one part of its loading report",
    )
    yield (
        any(_odd_difference(one, world_size) for one in case.report),
        "a difference of its loading report is impossible",
    )
    yield not ranks_exist(case.error, world_size), "its error names ranks that it did not have"


def _fits(case: Case) -> bool:
    """Tests whether a case has the evidence that its verdict comes with; see `matrix.probe.checks.verdicts`."""
    held = [name for name, has in (("findings", case.findings), ("error", case.error)) if has]
    held = held or ["report" if case.report else "nothing"]
    return len(held) == 1 and held[0] in case.verdict.row.evidence


def _repeated(keys: Iterable[Hashable]) -> bool:
    return any(number > 1 for number in Counter(keys).values())


def _odd(finding: Finding, world_size: int) -> bool:
    wrong, total = finding.elements
    shown = max(len(finding.expected), len(finding.actual))
    possible = 0 <= wrong <= total and shown <= SHOWN_VALUES
    # The control looks for what is rounded, and for nothing else.
    told = finding.at_stage_0 is None or finding.kind is Kind.ROUNDED
    return not (_exist(finding.ranks, world_size) and finding.ranks and possible and told)


def _odd_note(note: Note, world_size: int) -> bool:
    return not (note.about and note.text and note.ranks and _exist(note.ranks, world_size))


def _odd_difference(found: ReportDifference, world_size: int) -> bool:
    names = (found.added, found.left_out)
    shown = all(len(quoted) == min(total, SHOWN_NAMES) for quoted, total in zip(names, found.counts, strict=True))
    return not (shown and any(found.counts) and found.ranks and _exist(found.ranks, world_size))


def ranks_exist(error: Failure | None, world_size: int) -> bool:
    """Tests whether an error names each of its ranks once, in order, and only ranks of a world of that size."""
    return error is None or _exist(error.ranks, world_size)


def _exist(ranks: Sequence[int], world_size: int) -> bool:
    return list(ranks) == sorted(set(ranks) & set(range(world_size)))


def find_unplanned_package(info: EnvironmentInfo, pins: Mapping[str, str]) -> str:
    """Returns a package that `info` says was installed otherwise than `pins` ask for; empty when there is none.

    The host that measures writes down the commit that it installed, so a commit counts only where the record names it, and no other.
    A package that `pins` leave open may have any release, but no commit.
    """
    return next((name for name in INSTALLABLE if _unplanned(info, name, pins.get(name, ""))), "")


def _unplanned(info: EnvironmentInfo, name: str, pin: str) -> bool:
    version, listed = str(vars(info).get(name, "")), info.packages.get(name)
    planned = {commit} if (commit := find_commit(pin)) else set()
    if {*_COMMIT.findall(version), *_COMMIT.findall(listed or "")} != planned:
        return True
    if name in RECORDED and listed is not None and public_version(listed) != public_version(version):
        return True
    return not commit and is_version(pin) and installed(info, name) != public_version(pin)


def public_version(version: str) -> str:
    """Returns a version without the name of its build: 2.13.0 of 2.13.0+cpu."""
    return version.partition("+")[0]

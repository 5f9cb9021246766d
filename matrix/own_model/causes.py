"""Finds which known upstream failures explain what is wrong, and what of it the fixed loader keeps right.

PURE: no input or output.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matrix.advice.known import Known
from matrix.model import Case, CaseKey, Cell, Failure, Finding, Kind, Loader
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class KnownCause:
    """A known failure, the sites that it explains, and how many tensors: in all, right with the fixed loader, at stage 0 too.

    `controlled` is of how many it was tried whether they are wrong at stage 0.
    """

    known: Known
    sites: tuple[str, ...]
    tensors: int
    kept: int
    at_stage_0: int
    controlled: int


@dataclass(frozen=True)
class Causes:
    """The `known` causes, and whether any wrong tensor, report or exception has none of them."""

    known: tuple[KnownCause, ...] = ()
    unexplained: bool = False


def find_causes(cell: Cell, rules: Sequence[Known]) -> Causes:
    """Returns what `rules` explain of what went wrong with the stock loader in `cell`."""
    wrong = list(_wrong(cell))
    fixed = {case.key: case for case in cell.cases if case.loader is Loader.FIXED}
    known, explained = [], set[int]()
    for rule in rules:
        found = [at for at, (case, cause) in enumerate(wrong) if rule.explains(case, cell.environment, cause)]
        explained |= {*found}
        if found:
            known.append(_cause(rule, [wrong[at] for at in found], fixed))
    # No rule is about a loading report.
    misreported = any(case.report and case.verdict is Verdict.MISREPORTED for case in _stock(cell))
    return Causes(tuple(known), misreported or len(explained) < len(wrong))


def _stock(cell: Cell) -> Iterator[Case]:
    return (case for case in cell.cases if case.loader is Loader.STOCK)


def _wrong(cell: Cell) -> Iterator[tuple[Case, Failure | Finding]]:
    for case in _stock(cell):
        if case.verdict.wrong_values:
            yield from ((case, cause) for cause in (*case.findings, *([case.error] if case.error else ())))


def _cause(rule: Known, wrong: list[tuple[Case, Failure | Finding]], fixed: dict[CaseKey, Case]) -> KnownCause:
    found = [(case.key, cause) for case, cause in wrong if isinstance(cause, Finding)]
    tensors = {finding.tensor for _, finding in found}
    still = {finding.tensor for key, finding in found if not _keeps(fixed, key, finding)}
    tried = {finding.tensor for _, finding in found if finding.at_stage_0 is not None}
    alike = {finding.tensor for _, finding in found if finding.at_stage_0}
    sites = tuple(dict.fromkeys(finding.site for _, finding in found))
    return KnownCause(rule, sites, len(tensors), len(tensors - still), len(alike), len(tried))


def _keeps(fixed: dict[CaseKey, Case], key: CaseKey, wrong: Finding) -> bool:
    """Returns whether the fixed loader was measured to give a tensor that the stock one gives wrong."""
    other = fixed.get(key._replace(loader=Loader.FIXED))
    return other is not None and other.error is None and all(one.tensor != wrong.tensor for one in other.findings)


def is_only_rounded(cases: Sequence[Case]) -> bool:
    """Returns whether nothing is wrong but rounded values."""
    wrong = [case for case in cases if case.verdict.wrong_values]
    kinds = {finding.kind for case in wrong for finding in case.findings}
    return kinds == {Kind.ROUNDED} and not any(case.error for case in wrong)

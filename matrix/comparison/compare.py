"""Compares a base run with a head run: what each case's change of verdict means, and which package caused it.

PURE: no input or output.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from matrix.comparison.outcome import Attribution, MeasuredCase, Outcome, attribute, classify, is_failing, signature
from matrix.model import Case, CaseKey, Check, Failure, Loader, Run
from matrix.verdicts import Verdict

DETECTING: Final = Check("load")
"""The check that must find the known bug, buffers lost while loading, in the last release that has it."""

RunPair = tuple[Run, Run]
"""A base and a head of one environment each, or of none."""


class Role(StrEnum):
    """What a run is to a comparison. A rerun is of what differed; `other` has an older release of the other package."""

    BASE = "base"
    HEAD = "head"
    BASE_RERUN = "base-again"
    HEAD_RERUN = "head-again"
    BASE_OTHER = "base-other"
    HEAD_OTHER = "head-other"
    NEWEST = "newest"
    LAST_BROKEN = "last-broken"


@dataclass(frozen=True)
class ComparedCase:
    """One case of a comparison: its outcome, the reason in our own words, and its case in each run that measured it."""

    key: CaseKey
    outcome: Outcome
    reason: str
    cases: Mapping[Role, Case]
    attribution: Attribution = Attribution.UNKNOWN


@dataclass(frozen=True)
class Comparison:
    """Every expected case of a comparison, in the order of the plan.

    `errors` says why a run could not be measured; `detector` says what makes the whole comparison unbelievable (the
    last release with the bug shows none), empty when nothing does.
    """

    compared: tuple[ComparedCase, ...]
    runs: Mapping[Role, Run]
    errors: Mapping[Role, Failure]
    detector: str = ""

    def of(self, outcome: Outcome) -> tuple[ComparedCase, ...]:
        """Returns the cases with this outcome."""
        return tuple(case for case in self.compared if case.outcome is outcome)

    @property
    def worst(self) -> Outcome:
        """Returns the worst outcome of all cases; `unchanged` where nothing was expected."""
        outcomes = (case.outcome for case in self.compared)
        return min(outcomes, key=lambda outcome: outcome.rank, default=Outcome.UNCHANGED)


def compare(runs: Mapping[Role, Run], expected: Iterable[CaseKey]) -> Comparison:
    """Compares every `expected` case, each once and in that order; ignores what else is in the runs."""
    measured = {role: _cases(run) for role, run in runs.items()}
    errors = {role: cell.error for role, run in runs.items() for cell in run.cells if cell.error}
    compared = []
    for key in dict.fromkeys(expected):
        cases = {role: found[key] for role, found in measured.items() if key in found}
        compared.append(_compared(key, cases, errors, newest=Role.NEWEST in runs))
    return Comparison(tuple(compared), runs, errors, _detector(runs.get(Role.LAST_BROKEN)))


def find_suspects(base: Run, head: Run) -> tuple[CaseKey, ...]:
    """Returns the cases to rerun on both before anyone is blamed: those that differ, and failing ones that base does not have."""
    before = _cases(base)
    return tuple(
        key
        for key, case in _cases(head).items()
        if (signature(before[key]) != signature(case) if key in before else is_failing(case))
    )


def compare_pairs(pairs: Iterable[RunPair], base_again: Run | None, head_again: Run | None) -> tuple[Comparison, ...]:
    """Compares the runs of each pair, every case that either has; reruns are found by environment.

    Without a rerun, a run is its own.
    """
    return tuple(
        compare(
            {
                Role.BASE: before,
                Role.HEAD: after,
                Role.BASE_RERUN: _only(base_again or before, _environments(before)),
                Role.HEAD_RERUN: _only(head_again or after, _environments(after)),
            },
            [*_cases(before), *_cases(after)],
        )
        for before, after in pairs
    )


def pair_runs(base: Run, head: Run) -> tuple[RunPair, ...]:
    """Returns pairs of runs of one environment each: those with the same id, or the only one of each run."""
    if len(base.cells) == len(head.cells) == 1:
        return ((base, head),)
    ids = dict.fromkeys([*_environments(base), *_environments(head)])
    return tuple((_only(base, [name]), _only(head, [name])) for name in ids)


def _environments(run: Run) -> list[str]:
    return [cell.environment.id for cell in run.cells]


def _only(run: Run, environments: Container[str]) -> Run:
    return Run(tuple(cell for cell in run.cells if cell.environment.id in environments))


def _cases(run: Run) -> dict[CaseKey, Case]:
    return {case.key: case for cell in run.cells for case in cell.cases}


def _compared(
    key: CaseKey, cases: Mapping[Role, Case], errors: Mapping[Role, Failure], *, newest: bool
) -> ComparedCase:
    def measured_case(role: Role, rerun: Role) -> MeasuredCase:
        return MeasuredCase(cases.get(role), cases.get(rerun), errors.get(role), errors.get(rerun))

    outcome, reason = classify(measured_case(Role.BASE, Role.BASE_RERUN), measured_case(Role.HEAD, Role.HEAD_RERUN))
    if outcome is Outcome.STILL_BROKEN and newest:
        reason = f"{reason}; {_compare_newest(cases[Role.HEAD], cases.get(Role.NEWEST))}"
    attribution = _attribute_regression(cases) if outcome is Outcome.REGRESSED else Attribution.UNKNOWN
    return ComparedCase(key, outcome, reason, cases, attribution)


def _attribute_regression(cases: Mapping[Role, Case]) -> Attribution:
    """Attributes a regression. One that failed before and is worse now cannot be attributed from failing and passing."""
    if is_failing(cases[Role.BASE]):
        return Attribution.UNKNOWN
    return attribute(cases.get(Role.BASE_OTHER), cases.get(Role.HEAD_OTHER), cases[Role.BASE], cases[Role.HEAD])


def _compare_newest(head: Case, newest: Case | None) -> str:
    match is_failing(newest):
        case None:
            return "the newest release gives no answer"
        case False:
            return "the newest release is not broken"
        case True:
            same = newest is not None and signature(newest) == signature(head)
            return f"the newest release is broken in {'the same' if same else 'another'} way"


def _detector(run: Run | None) -> str:
    """Returns why no passing result can be believed: the known bug of the last broken release was not found."""
    if run is None or not run.cells or not all(cell.complete and cell.error is None for cell in run.cells):
        return ""
    loads = [case for case in _cases(run).values() if (case.loader, case.check) == (Loader.STOCK, DETECTING)]
    bearing = [case for case in loads if case.tensors.buffers]
    if any(case.verdict in (Verdict.CORRUPT, Verdict.REPORTED) for case in bearing):
        return ""
    return (
        f"the detector did not find the known bug: none of {len(bearing)} architectures with buffers is wrong on the "
        "last release with that bug, so passing results prove nothing"
    )

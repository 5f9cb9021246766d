"""PURE. Says at which checks and precisions nothing is known about an architecture in a cell, and why."""

from collections.abc import Iterable, Mapping, Sequence

from matrix.checks import CHECKS, DEFAULT
from matrix.model import Case, Check, Precision
from matrix.verdicts import Verdict

Place = tuple[Check, Precision]
"""Where an architecture is checked: with which check, in which precision."""

LEFT_OUT = "left out of this run"


def list_places(cases: Iterable[Case]) -> tuple[Place, ...]:
    """Returns where architectures are checked by default, and wherever one of `cases` is, in the order in which it is shown."""
    wanted = {(check, precision) for check in DEFAULT.checks for precision in DEFAULT.precisions}
    wanted |= {place_of(case) for case in cases}
    return tuple((check, precision) for precision in Precision for check in CHECKS if (check, precision) in wanted)


def place_of(case: Case) -> Place:
    """Returns where a case was measured."""
    return case.check, case.precision


def find_gaps(cases: Sequence[Case], places: Iterable[Place]) -> Mapping[Place, str]:
    """Returns at which of `places` the cases of one architecture say nothing about ZeRO-3, and why."""
    reasons = {place: explain_gap([case for case in cases if place_of(case) == place]) for place in places}
    return {place: why for place, why in reasons.items() if why}


def explain_gap(cases: Sequence[Case]) -> str:
    """Returns why these cases say nothing about ZeRO-3; empty when one of them does."""
    if any(says_something(case) for case in cases):
        return ""
    error = next((case.error for case in cases if case.error), None)
    return f"{cases[0].verdict}: {error.message if error else ''}".strip(": ") if cases else LEFT_OUT


def says_something(case: Case) -> bool:
    """Returns whether the model was loaded under ZeRO-3, which is not tried after a plain load that raises."""
    return case.verdict.row.measured and not (case.verdict is Verdict.BASELINE_BROKEN and case.error)

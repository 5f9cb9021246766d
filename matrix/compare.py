"""PURE. A base run against a head run: what each case's change of verdict means, and whose doing it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from matrix.model import Case, CaseKey, Failure, Run


class Role(StrEnum):
    """What a run is to a comparison. `again` is the rerun of what differed; `other` has the other package's older release."""

    BASE = "base"
    HEAD = "head"
    BASE_AGAIN = "base-again"
    HEAD_AGAIN = "head-again"
    BASE_OTHER = "base-other"
    HEAD_OTHER = "head-other"
    NEWEST = "newest"
    LAST_BROKEN = "last-broken"


class Outcome(StrEnum):
    """What became of a case between base and head, worst first."""

    REGRESSED = "regressed"
    NEW_BROKEN = "new_broken"
    INFRASTRUCTURE = "infrastructure"
    NOT_RUN = "not_run"
    FLAKY = "flaky"
    STILL_BROKEN = "still_broken"
    FIXED = "fixed"
    UNCHANGED = "unchanged"


class Culprit(StrEnum):
    """Whose change makes a case red, told from old and new of each of two packages.

    `subject` is the package under comparison (transformers in a pull request of transformers), `other` its counterpart.
    """

    SUBJECT = "subject"
    OTHER = "other"
    TOGETHER = "together"
    EITHER = "either"
    NEITHER = "neither"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Compared:
    """One case in a comparison: its outcome, why in our own words, and what each run said of it (absent: not measured)."""

    key: CaseKey
    outcome: Outcome
    reason: str
    cases: Mapping[Role, Case]
    culprit: Culprit = Culprit.UNKNOWN


@dataclass(frozen=True)
class Comparison:
    """Every expected case of a comparison, in the order of the plan.

    `errors` says why a run could not be measured; `detector` says what makes the whole comparison unbelievable (the
    last release with the bug shows none), empty when nothing does.
    """

    compared: tuple[Compared, ...]
    runs: Mapping[Role, Run]
    errors: Mapping[Role, Failure]
    detector: str = ""

    def of(self, outcome: Outcome) -> tuple[Compared, ...]:
        """The cases with this outcome."""
        return tuple(case for case in self.compared if case.outcome is outcome)

    @property
    def worst(self) -> Outcome:
        """The worst outcome of all cases; `unchanged` where nothing was expected."""
        order = list(Outcome)
        return min((case.outcome for case in self.compared), key=order.index, default=Outcome.UNCHANGED)

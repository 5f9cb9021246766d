"""Classifies what became of a case between base and head, and attributes it: total functions of what was measured.

PURE: no input or output.
"""

from dataclasses import dataclass
from enum import StrEnum

from matrix.measure.tasks import UNKNOWN_CHECK
from matrix.model import Case, Failure, ReportDifference
from matrix.verdicts import Verdict

Signature = tuple[Verdict, frozenset[tuple[str, tuple[int, ...]]], tuple[ReportDifference, ...]]


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

    @property
    def rank(self) -> int:
        """Returns 0 for the worst outcome, rising to the best."""
        return list(Outcome).index(self)

    @property
    def worse(self) -> bool:
        """Returns whether head got something wrong."""
        return self in (Outcome.REGRESSED, Outcome.NEW_BROKEN)

    @property
    def change(self) -> bool:
        """Returns whether head changed something, which needs reruns of both to be said."""
        return self.worse or self is Outcome.FIXED

    @property
    def unmeasured(self) -> bool:
        """Returns whether nothing can be said about the case."""
        return self in (Outcome.INFRASTRUCTURE, Outcome.NOT_RUN)


class Attribution(StrEnum):
    """Which package's change makes a case fail, found from old and new of each of two packages.

    `subject` is the package under comparison (transformers in a pull request of transformers), `other` its counterpart.
    """

    SUBJECT = "subject"
    OTHER = "other"
    TOGETHER = "together"
    EITHER = "either"
    NEITHER = "neither"
    UNKNOWN = "unknown"


def signature(case: Case) -> Signature:
    """Returns what two equal measurements of a case share: the verdict, and which tensors are wrong on which ranks, and what the loader said.

    How they are wrong is left out: a tensor that nobody has written to has other values each time.
    """
    return case.verdict, frozenset((found.tensor, found.ranks) for found in case.findings), case.report


def is_failing(case: Case | None) -> bool | None:
    """Returns whether a case fails; None where that is unknown: not measured, no such class, or different each time."""
    if case is None or not case.verdict.row.measured or case.verdict is Verdict.FLAKY:
        return None
    return case.verdict is not Verdict.PASS


@dataclass(frozen=True)
class MeasuredCase:
    """A case on base or head, and its rerun. It is None where it was not measured; an error is of the whole run."""

    case: Case | None = None
    again: Case | None = None
    error: Failure | None = None
    rerun_error: Failure | None = None

    @property
    def failed(self) -> bool:
        """Returns whether it could not be measured for reasons outside of the models."""
        return self.error is not None or _infrastructure(self.case)

    @property
    def rerun_failed(self) -> bool:
        """Returns whether its rerun could not."""
        return self.rerun_error is not None or _infrastructure(self.again)

    @property
    def rerun(self) -> bool:
        """Returns whether there is a second measurement, to confirm the first or not."""
        return self.again is not None and not self.rerun_failed

    @property
    def unsteady(self) -> bool:
        """Returns whether measurements disagree, inside one run or between the two."""
        cases = [self.case, self.again if self.rerun else None]
        measured = [case for case in cases if case is not None]
        return len({signature(case) for case in measured}) > 1 or any(
            case.verdict is Verdict.FLAKY for case in measured
        )


def classify(base: MeasuredCase, head: MeasuredCase) -> tuple[Outcome, str]:
    """Returns the outcome of a case and the reason, in our own words; there is exactly one for everything that may be measured.

    Infrastructure is never a regression, and a change counts only if reruns of both confirm it.
    """
    if base.failed or head.failed:
        return Outcome.INFRASTRUCTURE, _could_not(base, head)
    if base.case is None or head.case is None:
        return Outcome.NOT_RUN, f"not measured on {_sides(base=base.case is None, head=head.case is None)}"
    if base.unsteady or head.unsteady:
        return Outcome.FLAKY, f"measurements of {_sides(base=base.unsteady, head=head.unsteady)} disagree"
    outcome, reason = _change(base.case, head.case)
    return _confirmed(base, head, outcome, reason) if outcome.change else (outcome, reason)


def _confirmed(base: MeasuredCase, head: MeasuredCase, outcome: Outcome, reason: str) -> tuple[Outcome, str]:
    """Returns a change between steady measurements, if both have a rerun to confirm it."""
    if base.rerun and head.rerun:
        return outcome, reason
    if base.rerun_failed or head.rerun_failed:
        unable = _sides(base=base.rerun_failed, head=head.rerun_failed)
        return Outcome.INFRASTRUCTURE, f"{reason}; the rerun of {unable} could not be measured, so it is unconfirmed"
    missing = _sides(base=not base.rerun, head=not head.rerun)
    return Outcome.NOT_RUN, f"{reason}; not rerun on {missing}, so it is unconfirmed"


def _infrastructure(case: Case | None) -> bool:
    return case is not None and case.verdict.infrastructure


def _could_not(base: MeasuredCase, head: MeasuredCase) -> str:
    words = f"{_sides(base=base.failed, head=head.failed)} could not be installed, imported or started"
    return f"{words}, while base could: see its error" if head.failed and base.case and not base.failed else words


def _sides(*, base: bool, head: bool) -> str:
    return " and ".join([*["base"] * base, *["head"] * head])


def _words(case: Case) -> str:
    return case.verdict.row.word


def _change(base: Case, head: Case) -> tuple[Outcome, str]:
    """Returns what two steady cases mean, if reruns confirm them."""
    if Verdict.UNSUPPORTED in (base.verdict, head.verdict):
        return _lacking(base, head)
    both = f"{_words(base)} on base, {_words(head)} on head"
    match is_failing(base), is_failing(head):
        case _, False:
            return (Outcome.FIXED, both) if is_failing(base) else (Outcome.UNCHANGED, "pass on base and head")
        case False, _:
            return Outcome.REGRESSED, both + _plain(head)
        case _:
            worse = _worsening(base, head)
            return (Outcome.REGRESSED, f"{both}: {worse}") if worse else (Outcome.STILL_BROKEN, both + _plain(head))


def _lacking(base: Case, head: Case) -> tuple[Outcome, str]:
    """Returns what two steady cases mean if base, head or both have no such class, or no such check."""
    if base.verdict is head.verdict:
        return Outcome.UNCHANGED, f"neither base nor head has such a {_missing(head)}"
    if head.verdict is Verdict.UNSUPPORTED:
        return Outcome.NOT_RUN, f"{_words(base)} on base, but head has no such {_missing(head)}: nothing to compare"
    outcome = Outcome.NEW_BROKEN if is_failing(head) else Outcome.UNCHANGED
    return outcome, f"base has no such {_missing(base)}, {_words(head)} on head{_plain(head)}"


def _missing(unsupported: Case) -> str:
    return "check" if unsupported.error and unsupported.error.type == UNKNOWN_CHECK else "class"


def _plain(head: Case) -> str:
    return ": it fails without ZeRO-3 too" if head.verdict is Verdict.BASELINE_BROKEN else ""


def _worsening(base: Case, head: Case) -> str:
    """Returns how head is more wrong than a base that was wrong already; empty when it is not."""
    if head.findings and base.verdict is Verdict.MISREPORTED:
        return "values are wrong that were right on base"
    if head.verdict is Verdict.CORRUPT and base.verdict is not Verdict.CORRUPT:
        return "the wrong values are no longer reported"
    added = _wrong(head) - _wrong(base)
    if not (base.findings and added):
        return ""
    tensors = {tensor for tensor, _ in added}
    return f"{len(tensors)} {'tensor is' if len(tensors) == 1 else 'tensors are'} wrong on ranks where base was right"


def _wrong(case: Case) -> frozenset[tuple[str, int]]:
    return frozenset((found.tensor, rank) for found in case.findings for rank in found.ranks)


def attribute(old_old: Case | None, new_old: Case | None, old_new: Case | None, new_new: Case | None) -> Attribution:
    """Attributes the failure of `new_new`; the subject's age comes first in a name, the other package's second.

    Each change is taken back alone. The one without which the case passes is the cause; where either helps, only both
    together are. Where neither helps, each alone is a cause if the old pair passes, and none if it fails.
    """
    subject_back, other_back = is_failing(old_new), is_failing(new_old)
    match is_failing(new_new), subject_back, other_back, is_failing(old_old):
        case False, _, _, _:
            return Attribution.NEITHER
        case (None, _, _, _) | (_, None, _, _) | (_, _, None, _) | (_, True, True, None):
            return Attribution.UNKNOWN
        case _, False, True, _:
            return Attribution.SUBJECT
        case _, True, False, _:
            return Attribution.OTHER
        case _, False, False, _:
            return Attribution.TOGETHER
        case _, _, _, before:
            return Attribution.NEITHER if before else Attribution.EITHER

"""Sums up a comparison in one sentence; what was not tested never passes.

PURE: no input or output.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bot.comment.context import Facts
from bot.comment.state import Headline
from bot.comment.words import ROLES, clean_words
from bot.text import Code, Sentence, count, join_words
from bot.untrusted.artifacts import Rejected
from bot.verdict_words import describe_trainings, describe_variants
from matrix.checks import find_variants
from matrix.comparison.compare import ComparedCase, Comparison, Role
from matrix.comparison.outcome import Outcome
from matrix.model import Variant
from matrix.verdicts import Verdict

BLAMED = tuple(outcome for outcome in Outcome if outcome.worse)
_NEEDED = (Role.BASE, Role.HEAD, Role.BASE_RERUN, Role.HEAD_RERUN, Role.LAST_BROKEN)
"""The runs that must succeed before anything counts as passing; the others only add details of a failure."""


def is_untested(compared: ComparedCase) -> bool:
    """Tests whether the case has no verdict on head, whatever its outcome."""
    head = compared.cases.get(Role.HEAD)
    unseen = head is None or head.verdict is Verdict.ENVIRONMENT
    return compared.outcome.unmeasured or (compared.outcome in (Outcome.UNCHANGED, Outcome.FIXED) and unseen)


@dataclass(frozen=True)
class OutcomeCounts:
    """Architectures, each counted once by the worst outcome of its cases; `measured` of `expected` have a verdict."""

    outcomes: Counter[Outcome]
    measured: int
    expected: int
    variants: tuple[Variant, ...]

    @property
    def blamed(self) -> int:
        """Returns how many architectures are worse on head than on base, or new and broken."""
        return sum(self.outcomes[outcome] for outcome in BLAMED)

    @property
    def words(self) -> str:
        """Returns all counts in one line; empty where the answer already says it."""
        named = [(self.outcomes[outcome], _OUTCOMES[outcome]) for outcome in Outcome]
        parts = [f"{number:,} {word}" for number, word in named if number]
        return f"Of {count(self.expected, 'architecture')}: {', '.join(parts)}." if len(parts) > 1 else ""


_OUTCOMES = {
    Outcome.REGRESSED: "regressed",
    Outcome.NEW_BROKEN: "new and broken",
    Outcome.INFRASTRUCTURE: "could not be measured",
    Outcome.NOT_RUN: "not measured",
    Outcome.FLAKY: "flaky",
    Outcome.STILL_BROKEN: "still broken",
    Outcome.FIXED: "fixed",
    Outcome.UNCHANGED: "unchanged",
}


def count_outcomes(comparison: Comparison) -> OutcomeCounts:
    """Counts the architectures of a comparison."""
    by_architecture: dict[str, list[Outcome]] = defaultdict(list)
    for one in comparison.compared:
        missed = is_untested(one) and not one.outcome.unmeasured
        by_architecture[one.key.architecture].append(Outcome.NOT_RUN if missed else one.outcome)
    measured = [one for one in comparison.compared if _measured(one)]
    worst = (min(outcomes, key=lambda outcome: outcome.rank) for outcomes in by_architecture.values())
    return OutcomeCounts(
        outcomes=Counter(worst),
        measured=len({one.key.architecture for one in measured}),
        expected=len(by_architecture),
        variants=find_variants(one.key for one in measured),
    )


def _measured(one: ComparedCase) -> bool:
    """Tests whether head was really measured: a class that this version does not have was not."""
    head = one.cases.get(Role.HEAD)
    return not is_untested(one) and head is not None and head.verdict.row.measured


def find_doubts(
    counted: OutcomeCounts, comparison: Comparison, facts: Facts, rejected: Sequence[Rejected]
) -> list[Sentence]:
    """Returns every reason to doubt the comparison, the most important first."""
    failed = [ROLES[role] for role in _NEEDED if role in comparison.errors]
    missing = counted.outcomes[Outcome.NOT_RUN] + counted.outcomes[Outcome.INFRASTRUCTURE]
    flaky = counted.outcomes[Outcome.FLAKY]
    of = f"of {count(counted.expected, 'architecture')}"
    reasons: list[tuple[object, Sentence]] = [
        (comparison.detector, (clean_words(comparison.detector),)),
        (_uncontrolled(comparison, facts), (f"the control ({ROLES[Role.LAST_BROKEN]}) was not measured",)),
        (not counted.measured, ("nothing was measured",)),
        (failed, (f"{join_words(failed)} could not be measured",)),
        (missing, (f"{missing:,} {of} {'was' if missing == 1 else 'were'} not measured",)),
        (rejected, (f"{count(len(rejected), 'result')} could not be used",)),
        (facts.failed_jobs, (f"{count(len(facts.failed_jobs), 'job')} ended without a result",)),
        (flaky, (f"reruns of {flaky:,} {of} disagree",)),
        (facts.uncovered, ("the catalog has no architecture for the changed code",)),
        (facts.measuring_edit, (*facts.measuring_edit, ", so its results cannot be trusted")),
        (facts.selector, ("only ", Code(" ".join(facts.selector)), " was measured, as requested")),
    ]
    return [sentence for holds, sentence in reasons if holds]


def _uncontrolled(comparison: Comparison, facts: Facts) -> bool:
    """Tests whether the run that has to find the known bug was planned, but is missing or incomplete."""
    planned = any(one.role is Role.LAST_BROKEN for job in facts.plan.jobs for one in job.revisions)
    run = comparison.runs.get(Role.LAST_BROKEN)
    complete = run is not None and run.cells and all(cell.complete and not cell.error for cell in run.cells)
    return planned and not complete


def choose_headline(counted: OutcomeCounts, doubted: Sequence[Sentence]) -> Headline:
    """Returns the class of the answer. A regression that reruns confirmed counts whatever else is in doubt."""
    if counted.blamed:
        return Headline.REGRESSED
    if doubted:
        return Headline.UNCERTAIN
    return Headline.BROKEN_BEFORE if counted.outcomes[Outcome.STILL_BROKEN] else Headline.GREEN


def write_answer(
    head: Headline, counted: OutcomeCounts, comparison: Comparison, doubted: Sequence[Sentence]
) -> Sentence:
    """Returns the answer in one sentence."""
    match head:
        case Headline.REGRESSED:
            return (_regressed(counted, comparison),)
        case Headline.UNCERTAIN:
            return ("Could not determine whether this change breaks loading: ", *doubted[0], ".")
        case Headline.BROKEN_BEFORE | Headline.GREEN:
            return (_not_worse(counted),)


def _regressed(counted: OutcomeCounts, comparison: Comparison) -> str:
    """Returns a sentence such as: 2 of 89 architectures get worse under ZeRO-3 in bf16 with this change: 1 loses values and 1 crashes."""
    worst: dict[str, Verdict] = {}
    worse = [one for one in comparison.compared if one.outcome.worse]
    # Sorted, so that what counts for each architecture is written last.
    for one in sorted(worse, key=_says_most, reverse=True):
        worst[one.key.architecture] = _head_verdict(one)
    acts = Counter(verdict.row.fares for verdict in sorted(worst.values(), key=lambda verdict: verdict.rank))
    said = [f"{number:,} {singular if number == 1 else plural}" for (plural, singular), number in acts.items()]
    does = said[0].partition(" ")[2] if len(said) == 1 else "get worse"
    which = f": {join_words(said)}" if len(said) > 1 else ""
    total = count(max(counted.measured, len(worst)), "architecture")
    new = counted.outcomes[Outcome.NEW_BROKEN]
    fresh = f", {new:,} of them new" if new else ""
    trainings = describe_trainings(find_variants(one.key for one in worse))
    return f"{len(worst):,} of {total} {does} under ZeRO-3 in {trainings} with this change{fresh}{which}."


def _head_verdict(one: ComparedCase) -> Verdict:
    case = one.cases.get(Role.HEAD)
    return case.verdict if case else Verdict.CRASH


def _says_most(one: ComparedCase) -> tuple[bool, int]:
    """Returns a key: first the cases whose verdict changed. One that stayed may be worse, but for an older reason."""
    base = one.cases.get(Role.BASE)
    return base is not None and base.verdict is _head_verdict(one), _head_verdict(one).rank


def _not_worse(counted: OutcomeCounts) -> str:
    fixed, broken = counted.outcomes[Outcome.FIXED], counted.outcomes[Outcome.STILL_BROKEN]
    checks = describe_variants(counted.variants)
    of = f"of {count(counted.measured, 'architecture')}"
    was = "was broken before and still is" if broken == 1 else "were broken before and still are"
    if fixed:
        rest = f"; {broken:,} {was}." if broken else f" and breaks none ({checks} measured)."
        return f"This change fixes {fixed:,} {of} under ZeRO-3{rest}"
    if broken:
        return f"Nothing changes under ZeRO-3: {broken:,} {of} {was} ({checks} measured)."
    return f"Nothing changes under ZeRO-3: {count(counted.measured, 'architecture')} measured ({checks})."

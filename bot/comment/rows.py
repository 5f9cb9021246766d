"""Turns the cases of a comparison into rows of a comment: each failing architecture, and what was not measured.

PURE: no input or output.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from bot.comment.context import Facts, Gap, Part, Row, Upstream
from bot.comment.headline import is_untested
from bot.comment.words import ATTRIBUTIONS, ROLES, clean_sentence, clean_words
from bot.report.evidence import Signature, build_evidence
from bot.report.labels import DEFAULT_WORLD_SIZE
from bot.text import MESSAGE_LIMIT, clip
from bot.untrusted.artifacts import Rejected
from bot.verdict_words import describe_variants
from matrix.advice.known import Known, find_known
from matrix.comparison.compare import ComparedCase, Comparison, Role
from matrix.comparison.outcome import Attribution, Outcome
from matrix.model import Case, EnvironmentInfo, Loader, Variant
from matrix.text import join_lines
from matrix.verdicts import Verdict

NAMES_IN_GAP = 5
_WRONG_ON = {
    Outcome.FIXED: (Role.BASE,),
    Outcome.FLAKY: (Role.HEAD, Role.HEAD_RERUN, Role.BASE, Role.BASE_RERUN),
}
"""Where to look for what is wrong, when not on head."""


def build_rows(
    comparison: Comparison, outcomes: Sequence[Outcome], other: str = "", known: Sequence[Known] = ()
) -> Part[Row]:
    """Returns the cases with one of `outcomes`, the worst verdict first, in one row for checks and precisions that fail alike.

    `other` is the package that may be the cause besides the one under comparison; `known` what is known upstream.
    """
    alike: dict[Hashable, list[ComparedCase]] = defaultdict(list)
    for one in rank_cases(comparison, outcomes):
        key = (
            one.key.architecture,
            one.key.loader,
            one.outcome,
            _change(one),
            _note(one, other),
            _likeness(_signature(comparison, one)),
        )
        alike[key].append(one)
    return Part.whole(tuple(_row(comparison, group, known, other) for group in alike.values()))


def rank_cases(comparison: Comparison, outcomes: Sequence[Outcome]) -> list[ComparedCase]:
    """Returns the cases with one of `outcomes`, in the order of these, then the worst verdict first, then as planned."""
    found = [one for one in comparison.compared if one.outcome in outcomes]
    return sorted(found, key=lambda one: _rank(one, outcomes))


def _rank(one: ComparedCase, outcomes: Sequence[Outcome]) -> tuple[int, int]:
    case = _wrong(one)
    return outcomes.index(one.outcome), case.verdict.rank if case else len(Verdict)


def _row(comparison: Comparison, group: Sequence[ComparedCase], known: Sequence[Known], other: str) -> Row:
    first = group[0]
    signature = _signature(comparison, first)
    checks = describe_variants(one.key.variant for one in group)
    return Row(
        architecture=clip(first.key.architecture),
        checks=checks if first.key.loader is Loader.STOCK else f"{checks}, {first.key.loader} loader",
        change=_change(first),
        evidence=build_evidence(signature, (), limit=1) if signature else None,
        note=_note(first, other),
        known=tuple(_describe(one) for one in _explain(comparison, first, known)),
    )


def _explain(comparison: Comparison, one: ComparedCase, known: Sequence[Known]) -> tuple[Known, ...]:
    case = _wrong(one)
    info = _environment(comparison, one, case) if case else None
    return find_known(known, [case], info) if case and info else ()


def _describe(known: Known) -> Upstream:
    links = (url.replace("https://github.com/", "https://redirect.github.com/") for url in known.issues)
    return Upstream(known.title, known.outlook, tuple((url.rpartition("/")[2], url) for url in links))


def _note(one: ComparedCase, other: str) -> str:
    """Returns which change caused it, `other` being the other package; else the reason of its outcome."""
    known = one.outcome.worse and one.attribution is not Attribution.UNKNOWN
    return ATTRIBUTIONS[one.attribution].format(other=other) if known else clean_words(one.reason)


def _change(one: ComparedCase) -> str:
    """Returns the verdicts on base and head, with how many reruns agreed where not all did."""
    return f"{_verdict(one, Role.BASE)} → {_verdict(one, Role.HEAD)}"


def _verdict(one: ComparedCase, role: Role) -> str:
    case = one.cases.get(role)
    if case is None:
        return "not measured"
    agreed, of = case.confirmed
    return case.verdict.row.word + (f" ({agreed:,} of {of:,})" if agreed != of else "")


def _wrong(one: ComparedCase) -> Case | None:
    """Returns the case that shows the failure: the first that does not pass where its outcome says to look."""
    cases = [one.cases[role] for role in _WRONG_ON.get(one.outcome, (Role.HEAD,)) if role in one.cases]
    failing = [case for case in cases if case.verdict is not Verdict.PASS]
    return next(iter([*failing, *cases]), None)


def _signature(comparison: Comparison, one: ComparedCase) -> Signature | None:
    case = _wrong(one)
    if case is None:
        return None
    info = _environment(comparison, one, case)
    return Signature.of(case, info.world_size if info else DEFAULT_WORLD_SIZE)


def _environment(comparison: Comparison, one: ComparedCase, case: Case) -> EnvironmentInfo | None:
    """Returns where `case`, one of those compared, was measured."""
    role = next(role for role, measured in one.cases.items() if measured is case)
    cells = comparison.runs[role].cells if role in comparison.runs else ()
    return cells[0].environment if cells else None


def _likeness(signature: Signature | None) -> Hashable:
    """Returns what two cases must share to be one row: all but the values, which differ from precision to precision."""
    findings = signature.findings if signature else ()
    return signature and replace(signature, findings=tuple(replace(one, expected=(), actual=()) for one in findings))


def build_gaps(comparison: Comparison, facts: Facts, rejected: Iterable[Rejected]) -> Part[Gap]:
    """Returns what was not measured and why, the runs that failed as a whole first."""
    whole = chain(_failed(comparison), _lost(facts, rejected))
    notes = (Gap(clean_sentence(note)) for note in facts.notes)
    return Part.whole((*whole, *_not_run(comparison), *notes))


def _failed(comparison: Comparison) -> Iterator[Gap]:
    if comparison.detector:
        yield Gap((clean_words(comparison.detector),))
    for role, error in comparison.errors.items():
        message = clip(join_lines(f"{error.type}: {error.message}"), MESSAGE_LIMIT // 5)
        yield Gap((f"{ROLES[role]} could not be measured: ", message))


def _lost(facts: Facts, rejected: Iterable[Rejected]) -> Iterator[Gap]:
    for one in rejected:
        yield Gap((clip(join_lines(one.job)), ": ", *clean_sentence(one.reason)))
    for job in facts.failed_jobs:
        yield Gap(("a job ended without a result: ", clip(join_lines(job))))


def _not_run(comparison: Comparison) -> Iterator[Gap]:
    """Yields the cases without a verdict, by the reason that they share; those of a model and a loader together."""
    reasons: dict[str, dict[tuple[str, Loader], list[Variant]]] = defaultdict(lambda: defaultdict(list))
    for one in comparison.compared:
        if is_untested(one):
            reasons[one.reason or "no result"][one.key.architecture, one.key.loader].append(one.key.variant)
    for reason, models in reasons.items():
        cases = tuple(
            clip(f"{name}: {describe_variants(missing)}, {loader} loader") for (name, loader), missing in models.items()
        )
        yield Gap((clean_words(reason),), Part.whole(cases).first(NAMES_IN_GAP))

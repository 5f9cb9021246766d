"""PURE. The cases of a comparison as rows of a comment: what each architecture does, and what was not measured.

PURE: no input or output.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import chain

from bot.comment.context import Facts, Gap, Part, Row
from bot.comment.headline import untested
from bot.comment.words import CULPRITS, ROLES, own, sentence
from bot.report.evidence import Signature, evidence
from bot.report.labels import DEFAULT_WORLD_SIZE
from bot.text import MESSAGE_LIMIT, Code, clip, listed
from bot.untrusted.artifacts import Rejected
from matrix.comparison.compare import Compared, Comparison, Culprit, Outcome, Role
from matrix.model import Case, Loader
from matrix.text import one_line
from matrix.verdicts import Verdict

NAMES_IN_GAP = 5
_WRONG_ON = {
    Outcome.FIXED: (Role.BASE,),
    Outcome.FLAKY: (Role.HEAD, Role.HEAD_AGAIN, Role.BASE, Role.BASE_AGAIN),
}
"""Where to look for what is wrong, when not on head."""


def rows(comparison: Comparison, outcomes: Sequence[Outcome], other: str = "") -> Part[Row]:
    """The cases with one of `outcomes`, the worst verdict first; checks of an architecture that fail alike are one row.

    `other` is the package that may be guilty beside the one under comparison.
    """
    alike: dict[Hashable, list[Compared]] = defaultdict(list)
    for one in ranked(comparison, outcomes):
        key = (
            one.key.architecture,
            one.key.loader,
            one.outcome,
            _change(one),
            _note(one, other),
            _signature(comparison, one),
        )
        alike[key].append(one)
    return Part.whole(tuple(_row(comparison, group, other) for group in alike.values()))


def ranked(comparison: Comparison, outcomes: Sequence[Outcome]) -> list[Compared]:
    """The cases with one of `outcomes`, in the order of these, then the worst verdict first, then as planned."""
    found = [one for one in comparison.compared if one.outcome in outcomes]
    return sorted(found, key=lambda one: _rank(one, outcomes))


def _rank(one: Compared, outcomes: Sequence[Outcome]) -> tuple[int, int]:
    case = _wrong(one)
    return outcomes.index(one.outcome), case.verdict.rank if case else len(Verdict)


def _row(comparison: Comparison, group: Sequence[Compared], other: str) -> Row:
    first = group[0]
    signature = _signature(comparison, first)
    checks = listed([str(one.key.check) for one in group])
    return Row(
        architecture=clip(first.key.architecture),
        checks=checks if first.key.loader is Loader.STOCK else f"{checks}, {first.key.loader} loader",
        change=_change(first),
        evidence=evidence(signature, (), limit=1) if signature else None,
        note=_note(first, other),
    )


def _note(one: Compared, other: str) -> str:
    """Whose doing it is, `other` being the package beside the one under comparison; else why it is called so."""
    told = one.outcome.worse and one.culprit is not Culprit.UNKNOWN
    return CULPRITS[one.culprit].format(other=other) if told else own(one.reason)


def _change(one: Compared) -> str:
    """The verdicts on base and head, with how reruns agreed where they did not."""
    return f"{_verdict(one, Role.BASE)} → {_verdict(one, Role.HEAD)}"


def _verdict(one: Compared, role: Role) -> str:
    case = one.cases.get(role)
    if case is None:
        return "not measured"
    agreed, of = case.confirmed
    return case.verdict.row.word + (f" ({agreed:,} of {of:,})" if agreed != of else "")


def _wrong(one: Compared) -> Case | None:
    """The case that shows what is wrong: the first that does not pass where its outcome says to look."""
    cases = [one.cases[role] for role in _WRONG_ON.get(one.outcome, (Role.HEAD,)) if role in one.cases]
    red = [case for case in cases if case.verdict is not Verdict.PASS]
    return next(iter([*red, *cases]), None)


def _signature(comparison: Comparison, one: Compared) -> Signature | None:
    case = _wrong(one)
    if case is None:
        return None
    role = next(role for role, measured in one.cases.items() if measured is case)
    cells = comparison.runs[role].cells if role in comparison.runs else ()
    world_size = cells[0].environment.world_size if cells else DEFAULT_WORLD_SIZE
    return Signature(case.verdict, case.tensors, case.findings, case.error, world_size)


def gaps(comparison: Comparison, facts: Facts, refused: Iterable[Rejected]) -> Part[Gap]:
    """What was not measured and why, the runs that failed as a whole first."""
    whole = chain(_failed(comparison), _lost(facts, refused))
    notes = (Gap(sentence(note)) for note in facts.notes)
    return Part.whole((*whole, *_not_run(comparison), *notes))


def _failed(comparison: Comparison) -> Iterator[Gap]:
    if comparison.detector:
        yield Gap((own(comparison.detector),))
    for role, error in comparison.errors.items():
        message = clip(one_line(f"{error.type}: {error.message}"), MESSAGE_LIMIT // 5)
        yield Gap((f"{ROLES[role]} could not be measured: ", message))


def _lost(facts: Facts, refused: Iterable[Rejected]) -> Iterator[Gap]:
    for one in refused:
        yield Gap((clip(one_line(one.duel)), ": ", *sentence(one.reason)))
    for job in facts.failed_jobs:
        yield Gap(("a job ended without a result: ", clip(one_line(job))))


def _not_run(comparison: Comparison) -> Iterator[Gap]:
    """Cases without a verdict, by the reason that they share."""
    reasons: dict[str, list[Code]] = defaultdict(list)
    for one in comparison.compared:
        if untested(one):
            reasons[one.reason or "no result"].append(clip(str(one.key)))
    for reason, cases in reasons.items():
        yield Gap((own(reason),), Part.whole(tuple(cases)).first(NAMES_IN_GAP))

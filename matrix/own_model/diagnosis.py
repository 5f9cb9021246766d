"""Diagnoses from measured cells whether an environment is safe for a model, what is wrong, and what helps.

PURE: no input or output.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from packaging.version import Version

from matrix.advice.safety import Answer, is_left_out
from matrix.catalog.lock import TINY, ScannedVersion
from matrix.checks import CHECKS, NEEDED_FOR_SAFE
from matrix.model import Case, Cell, Check, EnvironmentInfo, Finding, Kind, Loader, Precision, Source, What
from matrix.own_model.causes import Causes, is_only_rounded
from matrix.own_model.stated import Stated
from matrix.process.messages import Resolved
from matrix.verdicts import Verdict

BUFFERS_LOAD_SINCE = "5.6.0"
"""The transformers that loads buffers under ZeRO-3, https://github.com/huggingface/transformers/pull/45402."""


@dataclass(frozen=True)
class Wrong:
    """The tensors of one site that are wrong in one way on the same ranks; `reported` if the loader named all of them."""

    architecture: str
    check: Check
    precision: Precision
    site: str
    what: What
    kind: Kind
    ranks: tuple[int, ...]
    tensors: tuple[str, ...]
    reported: bool


@dataclass(frozen=True)
class Diagnosis:
    """The result of a check. `stock` are the cases of the user's own loader.

    `fixed` says that the fixed loader gives every value back where the stock one does not, `since` which transformers
    is known to, and `pairs` are environments in which the stock loader was measured right, the nearest first. `reasons`
    say of architectures why nothing is learnt of ZeRO-3 from them with this transformers, as the catalog knows it.
    `own_code` says whether the code that the configuration names (`auto_map`) is what was measured, None where it names
    none. `stated` is what was to be measured and what was left out, `answers` those in each precision,
    `causes` which known upstream failures explain what is wrong.
    """

    environment: EnvironmentInfo
    resolved: Resolved
    answer: Answer
    stock: tuple[Case, ...]
    wrong: tuple[Wrong, ...] = ()
    fixed: bool = False
    since: str = ""
    pairs: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    own_code: bool | None = None
    stated: Stated = field(default_factory=Stated)
    causes: Causes = field(default_factory=lambda: Causes(unexplained=True))
    answers: Mapping[Precision, Answer] = field(default_factory=dict)


def diagnose(cell: Cell, resolved: Resolved, pairs: Sequence[str] = (), stated: Stated | None = None) -> Diagnosis:
    """Diagnoses `cell`, which has every case of one target; `pairs` are known to be safe for it.

    What was not measured does not count as safe: a precision that was to be, or what is quantized.
    """
    stock = _of(cell, Loader.STOCK)
    measured = dict.fromkeys(case.precision for case in stock)
    stated = stated or Stated(tuple(measured))
    answers = {one: _answer([case for case in stock if case.precision is one], resolved) for one in measured}
    answer = _combine(answers, stated)
    answers = _never_safe(answers) if stated.quantized else answers
    found = Diagnosis(cell.environment, resolved, answer, stock, stated=stated, answers=answers)
    if found.answer is not Answer.UNSAFE:
        return found
    fixed = _gives_back(_of(cell, Loader.FIXED))
    rest = _gives_back(_of(cell, Loader.FIXED), (Verdict.PASS, Verdict.NARROWED)) and not is_only_rounded(stock)
    old = rest and Version(cell.environment.transformers) < Version(BUFFERS_LOAD_SINCE)
    wrong = tuple(entry for case in stock for entry in _wrong(case))
    return replace(found, wrong=wrong, fixed=fixed, since=BUFFERS_LOAD_SINCE if old else "", pairs=tuple(pairs))


def add_reasons(found: Diagnosis, looked: ScannedVersion) -> Diagnosis:
    """Returns `found` with the reasons that the catalog has for this version of transformers.

    A missing package or an error does not apply to a model that loaded here. A tiny model that is unlike the full-size
    one still does, and such a model is not known to be safe.
    """
    names = {case.architecture for case in found.stock}
    failing = {
        case.architecture
        for case in found.stock
        if not CHECKS[case.check].needs_saved
        and case.verdict is Verdict.BASELINE_BROKEN
        and not is_left_out(case.check, case.verdict)
    }
    unchecked = {
        name: f"it is not checked: {why}"
        for name, why in looked.unchecked.items()
        if name in failing or (name in names and why.startswith(TINY))
    }
    broken = {name: f"a plain load of it fails: {why}" for name, why in looked.broken.items() if name in failing}
    answer = Answer.UNKNOWN if unchecked and found.answer is Answer.SAFE else found.answer
    answers = _never_safe(found.answers) if unchecked else found.answers
    return replace(found, answer=answer, answers=answers, reasons={**broken, **unchecked})


def uses_own_code(source: Source | None) -> bool | None:
    """Returns whether the code that the configuration of `source` names is what is measured; None where it names none."""
    return bool(source.folder or source.name) if source and source.config.get("auto_map") else None


def has_unseen_sites(resolved: Resolved) -> bool:
    """Returns whether the full-size model may have buffer sites that were not measured."""
    return bool(resolved.lost or resolved.unknown)


def _combine(answers: Mapping[Precision, Answer], stated: Stated) -> Answer:
    if Answer.UNSAFE in answers.values():
        return Answer.UNSAFE
    right = all(answers.get(precision) is Answer.SAFE for precision in stated.precisions)
    return Answer.SAFE if answers and right and not stated.quantized else Answer.UNKNOWN


def _never_safe(answers: Mapping[Precision, Answer]) -> dict[Precision, Answer]:
    """Returns `answers` of a model that what was measured is unlike: what was right says nothing of it."""
    return {one: Answer.UNKNOWN if its is Answer.SAFE else its for one, its in answers.items()}


def _answer(cases: Sequence[Case], resolved: Resolved) -> Answer:
    """Returns UNSAFE for what went wrong under ZeRO-3, or left wrong values anywhere; SAFE only for what was measured whole."""
    if any(case.findings or (case.verdict.wrong_values and not case.verdict.settled) for case in cases):
        return Answer.UNSAFE
    return Answer.SAFE if _right(cases) and not has_unseen_sites(resolved) else Answer.UNKNOWN


def _of(cell: Cell, loader: Loader) -> tuple[Case, ...]:
    return tuple(case for case in cell.cases if case.loader is loader)


def _right(cases: Sequence[Case]) -> bool:
    return _made(cases) and all(
        case.verdict is Verdict.PASS for case in cases if not is_left_out(case.check, case.verdict)
    )


def _made(cases: Sequence[Case]) -> bool:
    """Returns whether every check that safe needs was made of each architecture, in each precision."""
    checks: dict[tuple[str, Precision], set[Check]] = {}
    for case in cases:
        checks.setdefault((case.architecture, case.precision), set()).add(case.check)
    return bool(checks) and all(made >= NEEDED_FOR_SAFE for made in checks.values())


def _gives_back(cases: Sequence[Case], right: tuple[Verdict, ...] = (Verdict.PASS,)) -> bool:
    """Returns whether all were `right` that could: no loader helps what fails in one process too, without a wrong value."""
    tried = [case for case in cases if not is_left_out(case.check, case.verdict)]
    loadable = [case for case in tried if case.verdict is not Verdict.BASELINE_BROKEN or case.findings]
    return _made(cases) and bool(loadable) and all(case.verdict in right for case in loadable)


def _wrong(case: Case) -> Iterator[Wrong]:
    def alike(finding: Finding) -> tuple[str, What, Kind, tuple[int, ...]]:
        return finding.site, finding.what, finding.kind, finding.ranks

    for (site, what, kind, ranks), group in groupby(sorted(case.findings, key=alike), alike):
        found = list(group)
        reported = all(finding.reported_missing for finding in found)
        yield Wrong(
            case.architecture,
            case.check,
            case.precision,
            site,
            what,
            kind,
            ranks,
            tuple(finding.tensor for finding in found),
            reported,
        )

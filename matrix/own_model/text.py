"""Formats a diagnosis as lines for a terminal and as values for programs.

PURE: no input or output.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from matrix.advice.safety import Answer, is_left_out
from matrix.check_protocol import is_inapplicable
from matrix.checks import CHECKS
from matrix.model import Case, Kind, Precision
from matrix.own_model.causes import KnownCause
from matrix.own_model.diagnosis import Diagnosis, Wrong, has_unseen_sites
from matrix.own_model.suggestions import suggest_fixes
from matrix.text import KINDS, describe_difference, describe_limits, join_words, make_printable
from matrix.verdicts import Verdict

_ANSWERS: Final = {Answer.SAFE: "SAFE", Answer.UNSAFE: "UNSAFE", Answer.UNKNOWN: "NOT KNOWN TO BE SAFE"}
_NOT_OWN: Final = "its own code (auto_map)"
_SHOWN: Final = 8


def format_diagnosis(found: Diagnosis) -> Iterator[str]:
    """Yields the answer in a few lines: safe or not, what was measured, what is wrong, and what to do."""
    info = found.environment
    names = ", ".join(dict.fromkeys(case.architecture for case in found.stock))
    yield make_printable(f"{_ANSWERS[found.answer]}: {names}{_rests_on(found)}{_left_out(found)}")
    yield make_printable(
        f"with transformers {info.transformers}, deepspeed {info.deepspeed}, torch {info.torch}; "
        f"{info.world_size} ranks, {info.device}"
    )
    yield from map(make_printable, _measured(found))
    yield from map(make_printable, _cases(found, named=", " in names))
    yield from suggest_fixes(found)


def _rests_on(found: Diagnosis) -> str:
    """Says in which precisions it is unsafe, and what safe rests on."""
    by_answer = {answer: [one for one, its in found.answers.items() if its is answer] for answer in Answer}
    unsafe = f", in {join_words(sorted(by_answer[Answer.UNSAFE]))}" if by_answer[Answer.UNSAFE] else ""
    if not by_answer[Answer.SAFE] or found.answer is Answer.UNKNOWN:
        return unsafe
    checks = ", ".join(_name_checks(found.stock, by_answer[Answer.SAFE]))
    safe = f"in {join_words(sorted(by_answer[Answer.SAFE]))}: {checks}"
    return f"{unsafe}; safe {safe}" if unsafe else f", {safe}"


def _name_checks(cases: Sequence[Case], safe: Sequence[Precision]) -> Iterator[str]:
    """Yields the checks that were made, with their precisions where they were not made in all that are `safe`."""
    made: dict[str, dict[Precision, None]] = {}
    for case in cases:
        if not is_left_out(case.check, case.verdict):
            made.setdefault(case.check, {})[case.precision] = None
    for check, precisions in made.items():
        yield check if {*safe} <= {*precisions} else f"{check} (in {join_words(sorted(precisions))} only)"


def _left_out(found: Diagnosis) -> str:
    left_out = [*found.stated.left_out, *([_NOT_OWN] if found.own_code is False else [])]
    return f"; not measured: {join_words(left_out)}" if left_out else ""


def _cases(found: Diagnosis, *, named: bool) -> Iterator[str]:
    """Yields the lines of each case; precisions that have the same lines share them."""
    lines: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for case in found.stock:
        words = CHECKS[case.check].words
        which = f"{case.architecture} " if named else ""
        call = f"{which}{words.call}{f', given {words.given},' if words.given else ''}"
        key = (case.architecture, case.check, case.precision)
        wrong = [one for one in found.wrong if (one.architecture, one.check, one.precision) == key]
        more = (*_differences(case), *_sites(wrong), *_notes(case))
        lines.setdefault((call, _said(case), more), []).append(case.precision)
    for (call, said, more), precisions in lines.items():
        yield f"{call} in {join_words(sorted(precisions))}: {said}"
        yield from more


def _notes(case: Case) -> Iterator[str]:
    for note in case.notes[:_SHOWN]:
        called = "on a ZeRO-3 model, a plain " if note.about.endswith(")") else ""
        yield f"  note: {called}{note.about}{'' if called else ':'} {note.text}"
    if len(case.notes) > _SHOWN:
        yield f"  and {len(case.notes) - _SHOWN} more notes; --json lists all"


def build_diagnosis_values(found: Diagnosis) -> dict[str, Any]:
    """Returns the diagnosis as JSON values."""
    return {
        "answer": found.answer,
        "architectures": list(dict.fromkeys(case.architecture for case in found.stock)),
        "environment": asdict(found.environment),
        "precisions": list(found.stated.precisions),
        "precisions_because": found.stated.why,
        "answers": dict(found.answers),
        "left_out": list(found.stated.left_out),
        "quantized": found.stated.quantized,
        "own_code_measured": found.own_code,
        "measured": asdict(found.resolved),
        "checks": [_case_values(case) for case in found.stock],
        "wrong": [asdict(wrong) for wrong in found.wrong],
        "fixed_loader_helps": found.fixed,
        "transformers_since": found.since,
        "right_pairs": list(found.pairs),
        "reasons": dict(found.reasons),
        "causes": [_cause_values(cause) for cause in found.causes.known],
    }


def _cause_values(cause: KnownCause) -> dict[str, Any]:
    known = cause.known
    values = {name: value for name, value in asdict(cause).items() if name != "known"}
    return {
        "id": known.id,
        "title": known.title,
        "issues": list(known.issues),
        "state": known.state,
        "fixed_in": known.fixed_in,
        "read_not_run": known.read_not_run,
        **values,
    }


def _case_values(case: Case) -> dict[str, Any]:
    error = asdict(case.error) if case.error else None
    report = [asdict(found) for found in case.report]
    said = {"architecture": case.architecture, "check": case.check, "precision": case.precision}
    notes = [asdict(note) for note in case.notes]
    return {**said, "verdict": case.verdict, "error": error, "report": report, "notes": notes}


def _measured(found: Diagnosis) -> Iterator[str]:
    resolved = found.resolved
    if found.stated.why:
        yield f"measured in {join_words(sorted(found.stated.precisions))}: {found.stated.why}"
    if found.stated.quantized:
        yield "what was measured is not quantized, so the quantized model is not known to be safe"
    if resolved.parameters is not None and resolved.full_parameters is not None:
        tiny = f"measured tiny: {resolved.parameters:,} of {resolved.full_parameters:,} parameters"
        sites = f"{len(resolved.sites)} buffer site{'s' if len(resolved.sites) != 1 else ''}"
        yield f"{tiny}, {sites}" + ("" if has_unseen_sites(resolved) else " (all of them)")
    if limits := describe_limits(found.environment.report_limits):
        yield limits
    for site in resolved.lost or ():
        yield f"not measured: {site}, which the tiny model does not have; --full measures it"
    if resolved.unknown:
        yield f"buffer sites of the full-size model could not be found ({resolved.unknown}); --full measures them"


def _describe_verdict(case: Case) -> str:
    if case.verdict is Verdict.NARROWED and any(finding.kind is not Kind.ROUNDED for finding in case.findings):
        return "wrong values that are named in missing_keys, and others that are rounded without any word of it"
    return case.verdict.row.own.format(*case.confirmed)


def _said(case: Case) -> str:
    words = _describe_verdict(case)
    if case.error and is_inapplicable(case.error):
        return f"does not apply: {case.error.message}"
    if case.error is None:
        return words
    message = " ".join(case.error.message.split())[:300]
    where = f", at {case.error.frame}" if case.error.frame else ""
    ranks = f" on {_ranks(case.error.ranks)}" if case.error.ranks else ""
    return f"{words}: {case.error.type}: {message}{where}{ranks}"


def _sites(wrong: list[Wrong]) -> Iterator[str]:
    for entry in wrong[:_SHOWN]:
        more = f" and {len(entry.tensors) - 1} more" if len(entry.tensors) > 1 else ""
        ranks = _ranks(entry.ranks)
        yield f"  {entry.what} {entry.site} {KINDS[entry.kind]} on {ranks} ({entry.tensors[0]}{more})"
    if len(wrong) > _SHOWN:
        yield f"  and {len(wrong) - _SHOWN} more; --json lists all"


def _differences(case: Case) -> Iterator[str]:
    for found in case.report:
        yield from (
            f"  {found.part} on {_ranks(found.ranks)} {words}: {names}" for words, names in describe_difference(found)
        )


def _ranks(ranks: tuple[int, ...]) -> str:
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"

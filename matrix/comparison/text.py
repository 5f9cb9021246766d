"""A comparison as lines for a terminal and as values for programs.

PURE: no input or output.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from matrix.comparison.compare import ComparedCase, Comparison, Role
from matrix.comparison.outcome import Outcome
from matrix.text import make_printable

_SECTIONS: Final[Mapping[str, tuple[Outcome, ...]]] = {
    "got worse": (Outcome.REGRESSED, Outcome.NEW_BROKEN),
    "got better": (Outcome.FIXED,),
    "fails in both": (Outcome.STILL_BROKEN,),
    "different each time": (Outcome.FLAKY,),
    "could not be compared": (Outcome.INFRASTRUCTURE, Outcome.NOT_RUN),
}


def list_compared_cases(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Yields every case of a comparison with its outcome, the reason, and the verdict and environment of each run."""
    environments = {role: [cell.environment.id for cell in run.cells] for role, run in comparison.runs.items()}
    for entry in comparison.compared:
        verdicts = {role: case.verdict for role, case in entry.cases.items()}
        said = {"outcome": entry.outcome, "reason": entry.reason, "culprit": entry.attribution}
        yield {**entry.key._asdict(), **said, "verdicts": verdicts, "environments": environments}


def format_comparison(comparison: Comparison) -> Iterator[str]:
    """Yields lines: what was compared, how many cases have each outcome, then what got worse, better, and so on."""
    yield from _runs(comparison)
    counts = {outcome: len(comparison.of(outcome)) for outcome in Outcome}
    yield ", ".join(f"{number} {_word(outcome)}" for outcome, number in counts.items() if number) or "no cases"
    for words, outcomes in _SECTIONS.items():
        yield from _section(words, [entry for outcome in outcomes for entry in comparison.of(outcome)])


def _section(words: str, entries: Sequence[ComparedCase]) -> Iterator[str]:
    """Yields how many cases and architectures, then a line for each architecture and reason, the worst first."""
    if not entries:
        yield f"{words}: nothing"
        return
    architectures = {entry.key.architecture for entry in entries}
    yield f"{words}: {_count(len(entries), 'case')} of {_count(len(architectures), 'architecture')}"
    alike: dict[tuple[Outcome, str, str], list[str]] = {}
    for entry in entries:
        same = alike.setdefault((entry.outcome, entry.key.architecture, entry.reason), [])
        same.append(f"{entry.key.loader} {entry.key.check}")
    for (outcome, architecture, reason), cases in alike.items():
        yield f"  {_word(outcome)}: {make_printable(architecture)} {', '.join(cases)}: {reason}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _runs(comparison: Comparison) -> Iterator[str]:
    for role in (Role.BASE, Role.HEAD):
        for cell in comparison.runs[role].cells:
            gap = "" if cell.complete else f" (incomplete: {len(cell.cases)} of {cell.planned} planned cases)"
            info = cell.environment
            versions = (
                f"transformers {info.transformers}, deepspeed {info.deepspeed}, torch {info.torch}, {info.device}"
            )
            yield make_printable(f"{role}: {versions}: {info.id}{gap}")
            if cell.error:
                yield f"  {make_printable(f'{cell.error.type}: {cell.error.message}')}"


def _word(outcome: Outcome) -> str:
    return "newly broken" if outcome is Outcome.NEW_BROKEN else outcome.replace("_", " ")

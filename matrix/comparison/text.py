"""A comparison as lines for a terminal and as values for programs.

PURE: no input or output.
"""

from collections.abc import Iterator
from typing import Any

from matrix.comparison.compare import Comparison, Role
from matrix.comparison.outcome import Outcome
from matrix.text import make_printable


def list_compared_cases(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Yields every case of a comparison with its outcome, the reason, and the verdict and environment of each run."""
    environments = {role: [cell.environment.id for cell in run.cells] for role, run in comparison.runs.items()}
    for entry in comparison.compared:
        verdicts = {role: case.verdict for role, case in entry.cases.items()}
        said = {"outcome": entry.outcome, "reason": entry.reason, "culprit": entry.attribution}
        yield {**entry.key._asdict(), **said, "verdicts": verdicts, "environments": environments}


def format_comparison(comparison: Comparison) -> Iterator[str]:
    """Yields lines: what was compared, how many cases have each outcome, and every case that changed, the worst first."""
    yield from _runs(comparison)
    counts = {outcome: len(comparison.of(outcome)) for outcome in Outcome}
    yield ", ".join(f"{number} {_word(outcome)}" for outcome, number in counts.items() if number) or "no cases"
    for outcome in Outcome:
        for entry in comparison.of(outcome) if outcome is not Outcome.UNCHANGED else ():
            yield f"  {_word(outcome)}: {make_printable(str(entry.key))}: {entry.reason}"


def _runs(comparison: Comparison) -> Iterator[str]:
    for role in (Role.BASE, Role.HEAD):
        for cell in comparison.runs[role].cells:
            gap = "" if cell.complete else f" (incomplete: {len(cell.cases)} of {cell.planned} planned cases)"
            yield f"{role}: {make_printable(cell.environment.id)}{gap}"
            if cell.error:
                yield f"  {make_printable(f'{cell.error.type}: {cell.error.message}')}"


def _word(outcome: Outcome) -> str:
    return outcome.replace("_", " ")

"""Writes the step summaries of the workflow: what a nightly run measures and why, and what was collected.

PURE: no input or output.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from bot.nightly.plan import PlannedRun
from bot.text import count, render_markdown_code
from matrix.text import join_lines


def render_plan_summary(run: PlannedRun) -> str:
    """Returns what a nightly run measures and why, as Markdown."""
    return "\n".join(_plan_lines(run))


def _plan_lines(run: PlannedRun) -> Iterator[str]:
    cells = run.plan.cells
    machines = count(len({cell.shard for cell in cells}), "machine")
    yield f"### The nightly run of {run.plan.night}: {count(len(cells), 'cell')} on {machines}\n"
    yield from (f"- {render_markdown_code(problem)}" for problem in run.problems)
    if cells:
        yield "\n| Environment | Why | Details | Machine |\n| --- | --- | --- | --- |"
        for cell in cells:
            words = render_markdown_code(cell.words) if cell.words else ""
            yield f"| {render_markdown_code(cell.environment.id)} | {cell.why} | {words} | {cell.shard} |"
    if run.skipped:
        yield f"\n<details><summary>{count(len(run.skipped), 'cell')} not measured</summary>\n"
        yield from (f"- {render_markdown_code(one.name)}: {render_markdown_code(one.words)}" for one in run.skipped)
        yield "\n</details>"


def render_collect_summary(states: Sequence[str], words: Sequence[str], *, pushed: bool) -> str:
    """Returns as Markdown how many cells are in each of `states`; `pushed` says whether anything was new."""
    counts = ", ".join(f"{number:,} {state}" for state, number in sorted(Counter(states).items())) or "nothing"
    lines = [f"### Cells of this run: {counts}\n", *([] if pushed else ["The history already has all of them.\n"])]
    return "\n".join([*lines, *(f"- {render_markdown_code(join_lines(word))}" for word in words)])

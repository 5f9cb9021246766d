"""PURE. A night in words, for the step summary of the workflow: what is measured and why, and what became of it.

PURE: no input or output.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from bot.nightly.plan import PlannedRun
from bot.text import count, render_markdown_code
from matrix.text import join_lines


def render_plan_summary(night: PlannedRun) -> str:
    """What a night measures and why, as Markdown."""
    return "\n".join(_planned(night))


def _planned(night: PlannedRun) -> Iterator[str]:
    cells = night.plan.cells
    machines = count(len({cell.shard for cell in cells}), "machine")
    yield f"### The night of {night.plan.night}: {count(len(cells), 'cell')} on {machines}\n"
    yield from (f"- {render_markdown_code(problem)}" for problem in night.problems)
    if cells:
        yield "\n| Environment | Why | | Machine |\n| --- | --- | --- | --- |"
        for cell in cells:
            words = render_markdown_code(cell.words) if cell.words else ""
            yield f"| {render_markdown_code(cell.environment.id)} | {cell.why} | {words} | {cell.shard} |"
    if night.skipped:
        yield f"\n<details><summary>{count(len(night.skipped), 'cell')} not measured</summary>\n"
        yield from (f"- {render_markdown_code(one.name)}: {render_markdown_code(one.words)}" for one in night.skipped)
        yield "\n</details>"


def render_collect_summary(states: Sequence[str], words: Sequence[str], *, pushed: bool) -> str:
    """What became of a night's cells, their states by name, as Markdown; `pushed` is whether anything was new."""
    counts = ", ".join(f"{number:,} {state}" for state, number in sorted(Counter(states).items())) or "nothing"
    lines = [f"### Kept: {counts}\n", *([] if pushed else ["The history holds all of it already.\n"])]
    return "\n".join([*lines, *(f"- {render_markdown_code(join_lines(word))}" for word in words)])

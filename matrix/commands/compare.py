"""`zero3 compare`: compares two runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from matrix.command_line.output import say
from matrix.comparison.compare import compare_pairs
from matrix.comparison.find_runs import find_runs
from matrix.comparison.text import format_comparison, list_compared_cases
from matrix.errors import INFRASTRUCTURE
from matrix.results.read import read_run


def compare_runs(
    base: Annotated[
        str,
        typer.Argument(
            metavar="BASE", help="Results before the change: a folder, versions (5.5.4+0.19.8), or an environment."
        ),
    ],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="Results after the change, named in the same way.")],
    source: Annotated[
        str,
        typer.Option("--from", help="Where versions are looked for: a folder of results, a history or its database."),
    ] = "results",
    base_again: Annotated[
        Path | None, typer.Option(help="Results of a rerun of BASE. Without it, BASE is not double-checked.")
    ] = None,
    head_again: Annotated[
        Path | None, typer.Option(help="Results of a rerun of HEAD. Without it, HEAD is not double-checked.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Compare two runs; exit code 1 when something got worse, 3 when something could not be compared."""
    reruns = [read_run(folder) if folder else None for folder in (base_again, head_again)]
    comparisons = compare_pairs(find_runs(base, head, source), *reruns)
    if as_json:
        say(json.dumps([values for comparison in comparisons for values in list_compared_cases(comparison)]))
    else:
        if not all(reruns):
            say("without reruns of both runs, differences are not double-checked", err=True)
        say("\n".join(line for comparison in comparisons for line in format_comparison(comparison)))
    outcomes = {entry.outcome for comparison in comparisons for entry in comparison.compared}
    cells = [cell for comparison in comparisons for run in comparison.runs.values() for cell in run.cells]
    if any(outcome.worse for outcome in outcomes):
        raise typer.Exit(1)
    if any(outcome.unmeasured for outcome in outcomes) or any(cell.error or not cell.complete for cell in cells):
        raise typer.Exit(INFRASTRUCTURE)

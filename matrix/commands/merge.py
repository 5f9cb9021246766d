"""`python -m matrix merge`: keeps the results of a run in a history."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from matrix import clock
from matrix.history.archive import merge


def merge_runs(
    run: Annotated[Path, typer.Argument(help="Folder with the results of a run (*.jsonl).")],
    history: Annotated[Path, typer.Option(help="Folder with the records of every night.")],
    night: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Which night; today when not given.")
    ] = None,
    label: Annotated[str, typer.Option(help="What tells this run from others of the same night.")] = "again",
) -> None:
    """Keep the results of a run in a night of a history; what the night holds already stays as it is."""
    for kept in merge(run, history, (night or clock.now()).date(), label):
        typer.echo(kept)

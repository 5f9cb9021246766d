"""`python -m matrix merge`: keeps the results of a run in a history."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from matrix import clock
from matrix.history.archive import merge


def merge_runs(
    run: Annotated[Path, typer.Argument(help="Folder with the results of a run (*.jsonl).")],
    history: Annotated[Path, typer.Option(help="Folder with the records of every nightly run.")],
    night: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Date of the nightly run. Default: today.")
    ] = None,
    label: Annotated[str, typer.Option(help="Name of this run among those of the same date.")] = "again",
) -> None:
    """Add the results of a run to a nightly run of a history; files that it has already are not changed."""
    for kept in merge(run, history, (night or clock.now()).date(), label):
        typer.echo(kept)

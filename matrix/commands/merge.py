"""`zero3 nightly merge`: keeps the results of a run in a history."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from matrix import clock
from matrix.command_line.output import say
from matrix.history.archive import merge


def merge_runs(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder with the results of a run (*.jsonl).")],
    history: Annotated[Path, typer.Option(help="Folder with the records of every nightly run.")],
    night: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Date of the nightly run. Default: today.")
    ] = None,
    label: Annotated[
        str,
        typer.Option(
            help="Added to a file's name where the nightly run already has other results of that environment."
        ),
    ] = "again",
) -> None:
    """Add the results of a run to a nightly run of a history; existing files are not changed."""
    for kept in merge(run, history, (night or clock.now()).date(), label):
        say(kept)

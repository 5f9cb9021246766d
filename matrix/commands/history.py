"""`zero3 history`: builds the database of a history and lists its nightly runs."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from matrix.command_line.output import say
from matrix.errors import NoHistoryError
from matrix.history.build import build_database
from matrix.history.database import open_database
from matrix.history.queries import NightlyRun, RejectedFile, query_nightly_runs, query_rejected_files
from matrix.text import make_printable


def show_history(
    records: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="History: a folder with one subfolder of record files for each nightly run."
        ),
    ],
    database: Annotated[Path, typer.Option(help="SQLite file to write.")],
) -> None:
    """Build the database of a history, then show its nightly runs and every rejected file."""
    if not records.is_dir():
        raise NoHistoryError(records)
    say(f"record files read: {build_database(records, database)}", err=True)
    with open_database(database) as history:
        for line in history_lines(query_nightly_runs(history), query_rejected_files(history)):
            say(line)


def history_lines(runs: Iterable[NightlyRun], rejected: Iterable[RejectedFile]) -> Iterator[str]:
    """Yields a line for every nightly run with how its cells ended, then every file that was rejected and why."""
    for run in runs:
        counts = {
            "complete": run.complete,
            "failed": run.failed,
            "incomplete": run.incomplete,
            "rejected": run.rejected,
        }
        yield f"{run.day}: " + ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    for file in rejected:
        yield f"rejected: {make_printable(file.reason)}"

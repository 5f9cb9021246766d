"""`python -m matrix history`: builds the database of a history and lists its nights."""

from pathlib import Path
from typing import Annotated

import typer

from matrix.errors import NoHistoryError
from matrix.history import queries
from matrix.history.database import build, opened
from matrix.history.text import built_line, history_lines


def show_history(
    records: Annotated[Path, typer.Argument(metavar="DIR", help="A history: a folder of record files per night.")],
    database: Annotated[Path, typer.Option(help="The SQLite file that is built from them.")],
) -> None:
    """Bring the database of a history up to date, then show its nights and every file that does not count."""
    if not records.is_dir():
        raise NoHistoryError(records)
    typer.echo(built_line(build(records, database)), err=True)
    with opened(database) as history:
        for line in history_lines(queries.nights(history), queries.refused(history)):
            typer.echo(line)

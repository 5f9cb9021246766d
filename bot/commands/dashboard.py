"""`python -m bot dashboard` writes the dashboard, a static site."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bot.commands.report import family_names
from bot.site.build import Sources, write_site_of_history, write_site_of_results
from bot.site.data.publisher import ADDRESS, NOBODY, Publisher
from bot.site.data.urls import START
from bot.text import count
from matrix.command_line.output import say
from matrix.history.files import default_database


def site_address(text: str) -> str:
    """Returns the value of `--address`; raises BadParameter if it is not the address of a site."""
    if text and not ADDRESS.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not the address of a site, such as https://example.org/zero3-matrix")
    return text


def dashboard(
    out: Annotated[
        Path, typer.Option(help="Folder for the site. It must be empty, or hold an earlier site, which is replaced.")
    ],
    history: Annotated[
        Path | None, typer.Option(help="Folder with a history: one folder of records for each nightly run.")
    ] = None,
    database: Annotated[
        Path | None, typer.Option(help="File for the database made from the history. Default: next to the history.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder with the results of one run. Use it instead of --history.")
    ] = None,
    authority: Annotated[
        str,
        typer.Option(
            envvar="ZERO3_AUTHORITY", help="A domain that you own. It is part of the id of the feed: never change it."
        ),
    ] = NOBODY.authority,
    address: Annotated[
        str,
        typer.Option(
            envvar="ZERO3_ADDRESS",
            callback=site_address,
            help="Address of the site, such as https://example.org/zero3-matrix. The feed needs it for its links.",
        ),
    ] = NOBODY.address,
) -> None:
    """Write the compatibility dashboard, a static site, from a history or from the results of one run."""
    tell = partial(say, err=True)
    if results and not history:
        written = write_site_of_results(results, out, family_names(), tell)
    elif history and not results:
        kept = database or default_database(history)
        written = write_site_of_history(
            Sources(history, kept, Publisher(authority, address)), out, family_names(), tell
        )
    else:
        raise typer.BadParameter("give either --history or --results")
    say(f"{out / START}: {count(written, 'file')}")

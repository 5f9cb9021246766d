"""`zero3 list`: shows the catalog."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from matrix.catalog.catalog import load_catalog
from matrix.catalog.families import FAMILIES
from matrix.catalog.listing import (
    ListedArchitecture,
    describe_versions,
    filter_catalog,
    group_by_owner,
    require_site,
    summarize_versions,
)
from matrix.catalog.lockfile import read_lock
from matrix.catalog.select import select
from matrix.command_line.output import say
from matrix.errors import UnknownNameError

WIDTH_ELSEWHERE = 160
"""Width of the table where the output is not a terminal."""


def list_catalog(
    architecture: Annotated[
        list[str] | None, typer.Option(help="Only ids, model types or classes that match this glob.")
    ] = None,
    family: Annotated[str, typer.Option(help="Only architectures of this family of buffers.")] = "",
    site: Annotated[str, typer.Option(help="Only architectures with a buffer site that matches this glob.")] = "",
    transformers: Annotated[str, typer.Option(help="Only architectures of this version of transformers.")] = "",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show the catalog: architectures, their buffer sites, the versions that have them."""
    lock = read_lock()
    if family and family not in FAMILIES:
        raise UnknownNameError("family", [family], list(FAMILIES))
    if transformers and transformers not in lock.versions:
        raise UnknownNameError("version of transformers", [transformers], list(lock.versions))
    chosen = select(load_catalog(transformers=transformers), architecture or [])
    shown = filter_catalog(chosen, lock, family=family, site=site, transformers=transformers)
    if site and not shown:
        require_site(site, lock)
    if as_json:
        versions = {version: asdict(looked) for version, looked in summarize_versions(lock, transformers).items()}
        say(json.dumps({"architectures": [asdict(one) for one in shown], "versions": versions}))
        return
    console = Console()
    console = console if console.is_terminal else Console(width=WIDTH_ELSEWHERE)
    console.print(_table(shown))
    for note in describe_versions(lock, transformers):
        console.print(Text(note, "dim"), soft_wrap=True)


def _table(shown: Sequence[ListedArchitecture]) -> Table:
    table = Table()
    table.add_column("architecture", overflow="fold")
    table.add_column("family")
    table.add_column("transformers", no_wrap=True)
    table.add_column("buffer sites", overflow="fold")
    for one in shown:
        span = f"{one.first} - {one.last}" if one.first else "any"
        family = f"{one.family}, popular" if one.popular and one.family != "popular" else one.family
        table.add_row(one.id, family, span, ", ".join(group_by_owner(one.sites)))
    return table

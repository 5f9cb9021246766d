"""The commands about the catalog: `python -m matrix list` shows it, `catalog` makes its lock anew."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from matrix.catalog.catalog import exceptions, load_catalog
from matrix.catalog.coverage import selection
from matrix.catalog.families import FAMILIES
from matrix.catalog.listing import Shown, by_owner, listed, looked_at, notes
from matrix.catalog.lockfile import PATH, canonical, read_lock
from matrix.catalog.select import select
from matrix.discovery.build_lock import Means, make_lock
from matrix.environments.install import fetch_newest_release
from matrix.environments.spec import Environment, load_environments, of_set
from matrix.errors import CancelledError, NoIndexError, OutputError, UnknownNameError
from matrix.model import Architecture, Device
from matrix.progress import TerminalProgress

PARTS = ("auto", "full", "sites")
"""Which part of the catalog is measured where no architecture is named."""

WIDTH_ELSEWHERE = 160
"""How wide the table is where the output is no terminal."""

app = typer.Typer()


def wanted(globs: Sequence[str], part: str, device: Device) -> tuple[Architecture, ...]:
    """What to measure: what `globs` name, else the `part` of the catalog; what that leaves out is said on stderr.

    Raises UnknownNameError.
    """
    catalog = load_catalog()
    if globs or part == "full" or (part == "auto" and device is Device.CUDA):
        return select(catalog, globs)
    lock = read_lock()
    left_out = {locked.id for locked in lock.architectures} - {*selection(lock)}
    typer.echo(
        f"measuring {len(catalog) - len(left_out)} architectures, for each buffer site at least one; "
        f"{len(left_out)} more that bear the same sites are left out: --catalog full measures them too",
        err=True,
    )
    return tuple(architecture for architecture in catalog if architecture.id not in left_out)


@app.command("list")
def list_catalog(
    architecture: Annotated[
        list[str] | None, typer.Option(help="Only ids, model types or classes that match this glob.")
    ] = None,
    family: Annotated[str, typer.Option(help="Only this family of buffers.")] = "",
    site: Annotated[str, typer.Option(help="Only those with a buffer site that matches this glob.")] = "",
    transformers: Annotated[str, typer.Option(help="Only those of this version of transformers.")] = "",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show the catalog: architectures, their buffer sites, the versions that have them."""
    lock = read_lock()
    if family and family not in FAMILIES:
        raise UnknownNameError("family", [family], list(FAMILIES))
    if transformers and transformers not in lock.versions:
        raise UnknownNameError("version of transformers", [transformers], list(lock.versions))
    chosen = select(load_catalog(transformers=transformers), architecture or [])
    shown = listed(chosen, lock, family=family, site=site, transformers=transformers)
    if as_json:
        versions = {version: asdict(looked) for version, looked in looked_at(lock, transformers).items()}
        typer.echo(json.dumps({"architectures": [asdict(one) for one in shown], "versions": versions}))
        return
    console = Console()
    console = console if console.is_terminal else Console(width=WIDTH_ELSEWHERE)
    console.print(_table(shown))
    for note in notes(lock, transformers):
        console.print(Text(note, "dim"), soft_wrap=True)


def _table(shown: Sequence[Shown]) -> Table:
    table = Table()
    table.add_column("architecture", overflow="fold")
    table.add_column("family")
    table.add_column("transformers", no_wrap=True)
    table.add_column("buffer sites", overflow="fold")
    for one in shown:
        span = f"{one.first} - {one.last}" if one.first else "any"
        table.add_row(one.id, one.family, span, ", ".join(by_owner(one.sites)))
    return table


def _news(known: Sequence[Environment]) -> Iterator[str]:
    """What is out and not in `known`; raises NoIndexError."""
    for package in ("transformers", "deepspeed"):
        newest = fetch_newest_release(package)
        if newest not in {getattr(environment, package) for environment in known}:
            yield f"{package} {newest} is out: one line in matrix/environments.toml adds it"


@app.command()
def catalog(
    out: Annotated[Path, typer.Option(help="The file to write.")] = PATH,
    venvs: Annotated[
        Path, typer.Option(envvar="ZERO3_VENVS", help="Where environments are installed; what is there is used again.")
    ] = Path(".zero3/venvs"),
    nightly: Annotated[str, typer.Option("--set", help="The set whose versions are looked at.")] = "nightly",
) -> None:
    """Discover every architecture with buffers in every version, and write catalog.lock.json."""
    known = load_environments()
    wanted_environments = of_set(nightly, known)
    try:
        for line in _news(known):
            typer.echo(line, err=True)
    except NoIndexError as error:
        typer.echo(f"warning: {error}", err=True)
    try:
        with TerminalProgress() as progress:
            lock = make_lock(wanted_environments, Means(venvs.resolve(), exceptions(), progress))
        out.write_text(canonical(lock), encoding="utf-8")
    except KeyboardInterrupt:
        raise CancelledError from None
    except OSError as error:
        raise OutputError(out, error) from error
    for version in lock.versions:
        checked, discovered = lock.checked(version)
        typer.echo(f"transformers {version}: {checked} of {discovered} architectures with buffers can be checked")

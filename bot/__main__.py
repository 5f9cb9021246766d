"""The command line: `python -m bot report`, and what the workflows call. Exit codes: 0 done, 2 usage, 3 infrastructure."""

import sys
from functools import cache, partial
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bot.render import render
from bot.report.build import report as report_of
from bot.report.terminal import print_report
from bot.site.build import Sources, site_of_history, site_of_results
from bot.site.data.publisher import ADDRESS, NOBODY, Publisher
from bot.site.data.urls import START
from bot.text import count
from matrix.catalog.catalog import load_catalog
from matrix.catalog.families import FAMILIES
from matrix.catalog.lockfile import read_lock
from matrix.command_line import run as run_app
from matrix.errors import INFRASTRUCTURE, OutputError
from matrix.history.files import database_of
from matrix.results.store import read_run


@cache
def _others() -> TyperGroup:
    """What the workflows call; with PyGithub, it takes half a second to import."""
    from bot.commands import documents
    from bot.commands import nightly as nightly_ci
    from bot.commands import pull_request as ci

    others = typer.Typer()
    others.add_typer(documents.app)
    others.add_typer(ci.app)
    others.add_typer(nightly_ci.app, name="nightly")
    return typer.main.get_group(others)


class _Group(TyperGroup):
    """The commands here, and the other ones, which are imported when one is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        self.commands.update(_others().commands)
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands:
            self.commands.update(_others().commands)
        return super().get_command(ctx, cmd_name)


app = typer.Typer(cls=_Group, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


def site_address(text: str) -> str:
    """What `--address` was given, if it may be the address of a site; raises BadParameter."""
    if text and not ADDRESS.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is no address of a site, such as https://example.org/zero3-matrix")
    return text


@app.callback()
def main() -> None:
    """What the matrix found, for people."""


@app.command()
def report(
    directory: Annotated[Path, typer.Argument(help="Folder with results (*.jsonl).")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the reports; that of the results when not given.")
    ] = None,
) -> None:
    """Write report.html and report.md from results, and print their summary."""
    context = report_of(read_run(directory), family_names(), read_lock())
    paths = [write(out or directory, name, render(name, context)) for name in ("report.html", "report.md")]
    print_report(context, sys.stdout)
    for path in paths:
        typer.echo(path)
    if context.infrastructure:
        raise typer.Exit(INFRASTRUCTURE)


@app.command()
def dashboard(
    out: Annotated[Path, typer.Option(help="Folder for the site: an empty one, or that of a site.")],
    history: Annotated[Path | None, typer.Option(help="Folder with a history: a folder of records per night.")] = None,
    database: Annotated[Path | None, typer.Option(help="Where the history's database is kept.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder with the results of one run, instead of a history.")
    ] = None,
    authority: Annotated[
        str,
        typer.Option(envvar="ZERO3_AUTHORITY", help="A domain of yours, for the name of the feed: keep it the same."),
    ] = NOBODY.authority,
    address: Annotated[
        str,
        typer.Option(
            envvar="ZERO3_ADDRESS",
            callback=site_address,
            help="Where the site will be, such as https://example.org/zero3-matrix, for the links in its feed.",
        ),
    ] = NOBODY.address,
) -> None:
    """Write the compatibility dashboard, a static site, from a history or from the results of one run."""
    tell = partial(typer.echo, err=True)
    if results and not history:
        written = site_of_results(results, out, family_names(), tell)
    elif history and not results:
        kept = database or database_of(history)
        written = site_of_history(Sources(history, kept, Publisher(authority, address)), out, family_names(), tell)
    else:
        raise typer.BadParameter("name either --history or --results")
    typer.echo(f"{out / START}: {count(written, 'file')}")


def family_names() -> dict[str, str]:
    """The family of each architecture of the catalog, as reports show it."""
    return {entry.id: f"{entry.family.replace('_', ' ')}: {FAMILIES[entry.family]}" for entry in load_catalog()}


def write(folder: Path, name: str, text: str) -> Path:
    """Write `text` to `folder/name` as UTF-8 and return that path; raises OutputError."""
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(path, error) from error
    return path


def cli() -> None:
    """Run the command line."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # records quote tools that draw with more than ASCII
    run_app(app)


if __name__ == "__main__":
    cli()

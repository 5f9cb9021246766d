"""`python -m bot report` writes a report of results: report.html, report.md and a summary on the terminal."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bot.render import render
from bot.report.build import build_report as report_of
from bot.report.terminal import print_report
from matrix.advice.known import load_known
from matrix.catalog.catalog import load_catalog
from matrix.catalog.families import FAMILIES
from matrix.catalog.lockfile import read_lock
from matrix.command_line.output import say
from matrix.errors import INFRASTRUCTURE, OutputError
from matrix.results.read import read_run


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="Folder with results (*.jsonl).")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the reports. Default: the folder with the results.")
    ] = None,
) -> None:
    """Write report.html and report.md from results, and print their summary."""
    context = report_of(read_run(directory), family_names(), read_lock(), load_known())
    paths = [write(out or directory, name, render(name, context)) for name in ("report.html", "report.md")]
    print_report(context, sys.stdout)
    for path in paths:
        say(path)
    if context.infrastructure:
        raise typer.Exit(INFRASTRUCTURE)


def family_names() -> dict[str, str]:
    """Returns the family of each architecture of the catalog, as reports show it."""
    return {entry.id: f"{entry.family.replace('_', ' ')}: {FAMILIES[entry.family]}" for entry in load_catalog()}


def write(folder: Path, name: str, text: str) -> Path:
    """Writes `text` to `folder/name` as UTF-8 and returns that path; raises OutputError."""
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(path, error) from error
    return path

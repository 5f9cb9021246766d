"""The command that measures how fast the dashboard is."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bot.scale import Place, measure, scratch
from matrix.bench_year import AS_PLANNED, EVERY_NIGHT
from matrix.measure.speed import goals_table

app = typer.Typer()


@app.command()
def bench(
    out: Annotated[Path, typer.Option(help="Folder for the made-up years, some GB; they are removed.")] = Path("bench"),
    environments: Annotated[int, typer.Option(min=1)] = EVERY_NIGHT.environments,
    architectures: Annotated[int, typer.Option(min=1)] = EVERY_NIGHT.architectures,
    nights: Annotated[int, typer.Option(min=2)] = EVERY_NIGHT.nights,
) -> None:
    """Measure how fast the dashboard of a made-up year of nights is built; exit code 1 when a goal is missed."""
    size = {"environments": environments, "architectures": architectures, "nights": nights}
    years = {
        "all every night": replace(EVERY_NIGHT, **size, always=environments),
        "as planned": replace(AS_PLANNED, **size, always=min(AS_PLANNED.always, environments)),
    }
    measured = []
    for name, year in years.items():
        with scratch(out) as folder:
            measured.append(measure(name, year, Place(folder), partial(typer.echo, err=True)))
    goals = [goal for one in measured for goal in one.goals]
    for one in measured:
        typer.echo(one.words)
    console = Console()
    (console if console.is_terminal else Console(width=110)).print(goals_table(goals))
    raise typer.Exit(int(not all(goal.met for goal in goals)))

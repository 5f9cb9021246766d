"""`zero3 nightly measure`: measures what one machine measures of a nightly run."""

from pathlib import Path
from typing import Annotated

import typer

from matrix.catalog.catalog import load_catalog
from matrix.catalog.select import select
from matrix.command_line.options import Architectures
from matrix.command_line.output import say
from matrix.nightly.measure import ShardOptions, measure_shard
from matrix.nightly.plan import read_nightly_plan
from matrix.process.run import choose_sandbox
from matrix.progress import show_progress


def measure_nightly_shard(
    plan: Annotated[str, typer.Option(help="Plan that `zero3 nightly plan` wrote. - reads it from stdin.")],
    name: Annotated[str, typer.Option(help="Name of this machine in the plan.")],
    out: Annotated[Path, typer.Option(help="Folder for results.")],
    venvs: Annotated[
        Path,
        typer.Option(envvar="ZERO3_VENVS", help="Folder to install environments in, one after the other."),
    ] = Path(".zero3/night"),
    architecture: Architectures = None,
) -> None:
    """Measure one machine's share of a nightly run, confined; continues from what is in --out; exit code 0 whatever the verdicts."""
    planned = read_nightly_plan(plan)
    confined = choose_sandbox("auto", out, venvs)
    options = ShardOptions(select(load_catalog(), architecture or []), venvs.resolve(), out, confined)
    for words in confined.missing if confined else ():
        say(f"not confined: {words}", err=True)
    with show_progress() as progress:
        measure_shard(planned, name, options, progress)

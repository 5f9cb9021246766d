"""`zero3 bot measure`: measures what one machine measures of a comparison."""

from pathlib import Path
from typing import Annotated

import typer

from matrix.catalog.catalog import load_catalog
from matrix.command_line.options import DEVICES, Architectures, require_choice
from matrix.command_line.output import say
from matrix.comparison.measure import JobOptions, find_job, measure_job, select_architectures
from matrix.comparison.plan import read_plan
from matrix.environments.choose import load_environments
from matrix.process.run import choose_sandbox
from matrix.progress import show_progress


def measure_comparison_job(
    plan_file: Annotated[str, typer.Option("--plan", help="Plan that `zero3 bot plan` wrote. - reads it from stdin.")],
    name: Annotated[str, typer.Option(help="Name of the job in the plan.")],
    out: Annotated[Path, typer.Option(help="Folder for results, with one subfolder for each role.")],
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    venvs: Annotated[
        Path, typer.Option(envvar="ZERO3_VENVS", help="Folder of installed environments, which later runs use again.")
    ] = Path(".zero3/duels"),
    architecture: Architectures = None,
    sandbox: Annotated[
        str, typer.Option(help="auto: confine the code under test. off: only for code that you trust.")
    ] = "auto",
) -> None:
    """Measure one job of a comparison; continues from what is in --out; exit code 0 whatever the verdicts."""
    job = find_job(read_plan(plan_file), name)
    architectures = select_architectures(job, load_catalog(), architecture or [])
    require_choice("device", device, DEVICES)
    require_choice("sandbox", sandbox, ("auto", "off"))
    options = JobOptions(
        architectures, load_environments(), venvs.resolve(), device, choose_sandbox(sandbox, out, venvs)
    )
    for words in options.sandbox.missing if options.sandbox else ():
        say(f"not confined: {words}", err=True)
    with show_progress() as progress:
        measure_job(job, out, progress, options)

"""`zero3 bench`: measures how fast a cell is."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from matrix.benchmark.goals import sum_set
from matrix.benchmark.measure import Bench, measure_goals, measure_set
from matrix.benchmark.text import describe_machine, format_json, make_goals_table, make_launches_table
from matrix.command_line.options import DEVICES, require_choice
from matrix.environments.choose import load_environments
from matrix.environments.install import install
from matrix.errors import OutputError
from matrix.measure.device import resolve_device
from matrix.measure.selection import choose_architectures
from matrix.progress import TerminalProgress
from matrix.results.read import read_run
from matrix.text import make_printable


def measure_speed(
    out: Annotated[Path, typer.Option(help="Folder to write bench.json and the log to.")] = Path("bench"),
    python: Annotated[Path | None, typer.Option(help="Measure this interpreter, and install nothing.")] = None,
    venv: Annotated[
        Path | None, typer.Option(help="Folder to install the newest environment in, if --python is not given.")
    ] = None,
    sample: Annotated[
        int, typer.Option(min=1, help="Number of launches with a single architecture to compare with.")
    ] = 3,
    default_set: Annotated[
        bool, typer.Option("--default-set", help="Also measure the default set of environments.")
    ] = False,
    results: Annotated[
        Path | None, typer.Option(help="Folder of results to read the default set from, instead of measuring it.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Measure how fast a cell is; exit code 1 when a goal is missed."""
    known = load_environments()
    require_choice("device", device, DEVICES)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(out, error) from error
    wanted = [environment for environment in known if "default" in environment.sets]
    with TerminalProgress() as progress:
        interpreter = python or install(known[0], venv or Path(".zero3/venvs") / known[0].id)
        where = resolve_device(device, 2)
        measured = Bench(
            interpreter, choose_architectures([], "auto", where, known[0].transformers), where, out, progress
        )
        launches, reached = measure_goals(measured, sample)
        if results:
            reached.append(sum_set(read_run(results).cells, [e.id for e in wanted], results))
        elif default_set:
            reached.append(measure_set(wanted, measured))
    described = describe_machine(launches[0].environment)
    (out / "bench.json").write_text(format_json(described, launches, reached))
    console = Console()
    console = console if console.is_terminal else Console(width=110)
    console.print(make_printable(", ".join(f"{name} {value}" for name, value in described.items())), markup=False)
    console.print(make_launches_table(launches), make_goals_table(reached))
    raise typer.Exit(int(not all(goal.met for goal in reached)))

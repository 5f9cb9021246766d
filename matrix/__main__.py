"""The command line: `python -m matrix list | run | check | compare | history | advise | night | merge | bench`. Exit codes: 0 as expected, 1 not so, 2 usage, 3 infrastructure."""

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

try:
    import pydantic  # noqa: F401
    import tomllib  # noqa: F401 - not in Python 3.10
    import typer
    from rich.console import Console
except ModuleNotFoundError as lacking:
    sys.stderr.write(
        f"error: {sys.executable} lacks {lacking.name}. What is measured need not have it: `nox -s host` installs what the "
        f"command line needs, then `.nox/host/bin/python -m matrix check TARGET --python {sys.executable}`\n"
    )
    sys.exit(3)

from matrix import clock
from matrix.advice.advice import Advice, Age, Ask, advise
from matrix.advice.advice import constraints as constraint_lines
from matrix.advice.source_type import given
from matrix.advice.sources import Knowledge, knowledge, named
from matrix.advice.text import advice_lines, advice_values
from matrix.catalog.catalog import load_catalog
from matrix.commands import catalog as catalog_commands
from matrix.commands import check as check_cli
from matrix.commands import nightly as night_cli
from matrix.commands.common import DEVICES, one_of
from matrix.commands.common import run as run_app
from matrix.comparison import measure as duels
from matrix.comparison.compare import compare_all
from matrix.comparison.text import comparison_lines, comparison_values
from matrix.environments.install import install
from matrix.environments.spec import chosen_by_name, from_id, load_environments
from matrix.errors import INFRASTRUCTURE, CancelledError, NoHistoryError, OutputError
from matrix.history import queries
from matrix.history.database import build, opened
from matrix.history.text import built_line, history_lines
from matrix.measure import speed as benchmark
from matrix.measure.cell import Request, measure
from matrix.measure.device import resolve_device
from matrix.measure.tasks import choices, plan
from matrix.model import Cell, Check, Device, Loader
from matrix.process.run import choose_sandbox
from matrix.progress import TerminalProgress
from matrix.results.store import json_schema, read_run

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

app.add_typer(catalog_commands.app)

Architectures = Annotated[
    list[str] | None, typer.Option("--architecture", help="Only ids, model types or classes that match this glob.")
]


app.add_typer(check_cli.app)
app.add_typer(night_cli.app)


@app.callback()
def main() -> None:
    """Does a model survive from_pretrained and save_pretrained under DeepSpeed ZeRO-3, value by value, on every rank?"""


@app.command()
def run(
    out: Annotated[Path, typer.Option(help="Folder for results.")] = Path("results"),
    environment: Annotated[str, typer.Option(help="Install and measure the environment of this id.")] = "",
    python: Annotated[Path | None, typer.Option(help="Measure this interpreter as it is.")] = None,
    venv: Annotated[Path | None, typer.Option(help="Where --environment is installed.")] = None,
    architecture: Architectures = None,
    catalog: Annotated[
        str, typer.Option(help="full, or sites: an architecture for each buffer site at least; auto: full on GPUs.")
    ] = "auto",
    loader: Annotated[str, typer.Option(help="stock, fixed or both.")] = "stock,fixed",
    check: Annotated[str, typer.Option(help="load, save or both.")] = "load,save",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    world_size: Annotated[int, typer.Option(help="Ranks of a group.")] = 2,
    timeout: Annotated[float, typer.Option(help="Seconds after which a case hangs.")] = 120.0,
    confirmations: Annotated[
        int, typer.Option(help="Reruns of a red case; of an exception one, if it repeats itself.")
    ] = 2,
    resume: Annotated[bool, typer.Option("--resume", help="Keep what is measured already.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Measure these cases anew, keep the others.")] = False,
) -> None:
    """Measure one cell: every case of one environment."""
    one_of("device", device, DEVICES)
    one_of("catalog", catalog, catalog_commands.PARTS)
    architectures = catalog_commands.wanted(architecture or [], catalog, resolve_device(device, world_size))
    tasks = plan(architectures, choices("loader", Loader, loader), choices("check", Check, check))
    known = load_environments()
    named = chosen_by_name(os.environ, known)
    request = Request(
        out=out,
        architectures=architectures,
        tasks=tasks,
        environment=from_id(environment, (*known, *filter(None, [named]))) if environment else None,
        interpreter=None if environment else (python or Path(sys.executable)),
        venv=venv,
        device=device,
        world_size=world_size,
        timeout=timeout,
        confirmations=confirmations,
        resume=resume,
        again=again,
    )
    try:
        with TerminalProgress() as progress:
            cell = measure(request, progress)
    except KeyboardInterrupt:
        raise CancelledError from None
    raise typer.Exit(summarise(cell))


@app.command("compare")
def compare_runs(
    base: Annotated[Path, typer.Argument(help="Folder with the results of before.")],
    head: Annotated[Path, typer.Argument(help="Folder with the results of after.")],
    base_again: Annotated[Path | None, typer.Option(help="A rerun of BASE; BASE is taken at its word without.")] = None,
    head_again: Annotated[Path | None, typer.Option(help="A rerun of HEAD; HEAD is taken at its word without.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Compare two runs; exit code 1 when something got worse, 3 when something could not be told."""
    runs = [read_run(folder) for folder in (base, head, base_again or base, head_again or head)]
    comparisons = compare_all(*runs)
    if as_json:
        typer.echo(json.dumps([values for comparison in comparisons for values in comparison_values(comparison)]))
    else:
        if not (base_again and head_again):
            typer.echo("without reruns of both, a run is taken at its word", err=True)
        typer.echo("\n".join(line for comparison in comparisons for line in comparison_lines(comparison)))
    outcomes = {entry.outcome for comparison in comparisons for entry in comparison.compared}
    cells = [cell for run in runs for cell in run.cells]
    if any(outcome.worse for outcome in outcomes):
        raise typer.Exit(1)
    if any(outcome.unmeasured for outcome in outcomes) or any(cell.error or not cell.complete for cell in cells):
        raise typer.Exit(INFRASTRUCTURE)


@app.command("duel")
def measure_duel(
    plan_file: Annotated[str, typer.Option("--plan", help="The plan that `python -m bot plan` wrote; - reads stdin.")],
    name: Annotated[str, typer.Option(help="Which duel of the plan.")],
    out: Annotated[Path, typer.Option(help="Folder for results, one of each role inside.")],
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    venvs: Annotated[
        Path, typer.Option(envvar="ZERO3_VENVS", help="Where environments are installed; what is there is used again.")
    ] = Path(".zero3/duels"),
    architecture: Architectures = None,
    sandbox: Annotated[
        str, typer.Option(help="auto confines the code under test; off for code that you trust.")
    ] = "auto",
) -> None:
    """Measure what one machine measures of a comparison, going on from what is in --out; exit code 0 whatever it finds."""
    chosen = duels.named(duels.read_plan(plan_file), name)
    architectures = duels.selected(chosen, load_catalog(), architecture or [])
    one_of("device", device, DEVICES)
    one_of("sandbox", sandbox, ("auto", "off"))
    means = duels.Means(
        architectures, load_environments(), venvs.resolve(), device, choose_sandbox(sandbox, out, venvs)
    )
    for words in means.sandbox.missing if means.sandbox else ():
        typer.echo(f"not confined: {words}", err=True)
    try:
        with TerminalProgress() as progress:
            duels.run(chosen, out, progress, means)
    except KeyboardInterrupt:
        raise CancelledError from None


@app.command("advise")
def advise_pairs(
    architecture: Annotated[str, typer.Option(help="An id of the catalog, a model type or a class.")],
    transformers: Annotated[str, typer.Option(help="Is this version safe?")] = "",
    deepspeed: Annotated[str, typer.Option(help="Is this version safe?")] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda; without, either.")] = "",
    loader: Annotated[str, typer.Option(help="stock or fixed.")] = "stock",
    source: Annotated[
        str, typer.Option("--from", help="Folder of results, history or its database, or address of a published site.")
    ] = "results",
    constraints: Annotated[Path | None, typer.Option(help="Write the best pair there, for pip.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Which versions are safe for a model; exit code 1 when what was asked for is not, 3 when nothing is known."""
    one_of("loader", loader, list(Loader))
    if device:
        one_of("device", device, list(Device))
    ask = Ask(transformers, deepspeed, Device(device) if device else None, Loader(loader))
    typer.echo(f"from {given(source)} {source}", err=True)
    known = knowledge(source)
    name = named(architecture, known.names)
    advice = advise(name, known.tried(name), ask, Age(known.night, clock.today()))
    typer.echo(json.dumps(advice_values(advice)) if as_json else "\n".join(advice_lines(advice)))
    if constraints:
        typer.echo(_constrain(constraints, advice, known), err=True)
    raise typer.Exit(advice.answer.exit_code)


def _constrain(path: Path, advice: Advice, known: Knowledge) -> str:
    """Write the constraints of the best pair to `path`; returns what became of it."""
    if not advice.safe:
        return f"{path} is not written: no pair is known to be safe"
    best = advice.safe[0]
    try:
        path.write_text("".join(f"{line}\n" for line in constraint_lines(best, known.others(best))), encoding="utf-8")
    except OSError as error:
        raise OutputError(path, error) from error
    return f"{path} pins transformers {best.transformers} and deepspeed {best.deepspeed}"


@app.command("history")
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


@app.command()
def schema() -> None:
    """Print the JSON Schema of a line of a results file."""
    typer.echo(json.dumps(json_schema(), indent=2))


@app.command()
def bench(
    out: Annotated[Path, typer.Option(help="Folder for bench.json and the log.")] = Path("bench"),
    python: Annotated[Path | None, typer.Option(help="Measure this interpreter as it is.")] = None,
    venv: Annotated[Path | None, typer.Option(help="Without --python: where to install the newest.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="How many single launches to compare with.")] = 3,
    default_set: Annotated[bool, typer.Option("--default-set", help="Measure the default set as well.")] = False,
    results: Annotated[Path | None, typer.Option(help="Take the default set from these results instead.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Measure how fast a cell is; exit code 1 when a goal is missed."""
    known = load_environments()
    one_of("device", device, DEVICES)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(out, error) from error
    wanted = [environment for environment in known if "default" in environment.sets]
    with TerminalProgress() as progress:
        interpreter = python or install(known[0], venv or Path(".zero3/venvs") / known[0].id)
        where = resolve_device(device, 2)
        measured = benchmark.Bench(interpreter, catalog_commands.wanted([], "auto", where), where, out, progress)
        launches, reached = benchmark.measure_goals(measured, sample)
        if results:
            reached.append(benchmark.summed_set(read_run(results).cells, [e.id for e in wanted], results))
        elif default_set:
            reached.append(benchmark.measured_set(wanted, measured))
    described = benchmark.machine(launches[0].environment)
    (out / "bench.json").write_text(benchmark.as_json(described, launches, reached))
    console = Console()
    console = console if console.is_terminal else Console(width=110)
    console.print(", ".join(f"{name} {value}" for name, value in described.items()))
    console.print(benchmark.launches_table(launches), benchmark.goals_table(reached))
    raise typer.Exit(int(not all(goal.met for goal in reached)))


def summarise(cell: Cell) -> int:
    """Print one line per loader and return the exit code."""
    if cell.error:
        typer.echo(f"{cell.environment.id}: environment\n{cell.error.message}")
        return INFRASTRUCTURE
    for loader in Loader:
        counts = Counter(case.verdict for case in cell.cases if case.loader is loader)
        words = ", ".join(f"{counts[verdict]} {verdict}" for verdict in sorted(counts, key=lambda v: v.rank))
        if words:
            typer.echo(f"{cell.environment.id} {loader}: {words} of {counts.total()}")
    return int(any(case.verdict.wrong_values for case in cell.cases))


def cli() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled CI job asks this way: end like Ctrl-C
    run_app(app)


if __name__ == "__main__":
    cli()

"""`zero3 run`: measures one environment."""

import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from matrix.checks import CHECKS, DEFAULT, Axes
from matrix.command_line.options import DEVICES, Architectures, require_choice
from matrix.command_line.output import say
from matrix.environments.choose import find_environment, load_environments, read_named_environment
from matrix.environments.interpreter import describe
from matrix.environments.spec import Environment
from matrix.errors import INFRASTRUCTURE, CancelledError, ConflictingOptionsError, ProbeDiedError
from matrix.measure.cell import measure
from matrix.measure.device import resolve_device
from matrix.measure.request import Progress, Request
from matrix.measure.selection import PARTS, Effort, choose_architectures, choose_effort
from matrix.measure.sparing import measure_sparingly
from matrix.measure.tasks import parse_choices, plan_tasks
from matrix.model import Cell, Configuration, Loader, Precision
from matrix.progress import show_progress

KEPT = "the results so far are kept, and the same command with --resume continues"


def measure_cell(
    out: Annotated[Path, typer.Option(help="Folder for results.")] = Path("results"),
    environment: Annotated[str, typer.Option(help="Id of the environment to install and measure.")] = "",
    python: Annotated[
        Path | None, typer.Option(help="Measure this interpreter, and install nothing. Default: the current one.")
    ] = None,
    venv: Annotated[
        Path | None,
        typer.Option(help="Folder to install --environment in. Default: .zero3/venvs/ID in the current folder."),
    ] = None,
    architecture: Architectures = None,
    catalog: Annotated[
        str,
        typer.Option(
            help="full: every architecture. sites: at least one for each buffer site, and each module class that a "
            "float32 list names. auto: full on GPUs, else sites."
        ),
    ] = "auto",
    loader: Annotated[
        str,
        typer.Option(
            help="stock, fixed, or both with a comma between them. On a CPU the default set is measured with the fixed "
            "loader only where the stock one gives wrong values."
        ),
    ] = ",".join(Loader),
    check: Annotated[str, typer.Option(help=f"{', '.join(CHECKS)}, or several with commas.")] = ",".join(
        DEFAULT.checks
    ),
    precision: Annotated[
        str,
        typer.Option(
            help=f"{', '.join(Precision)}, or several with commas. Default: {','.join(DEFAULT.precisions)}; on a CPU "
            "bf16 alone for the older pairs of the default set."
        ),
    ] = "",
    configuration: Annotated[
        str,
        typer.Option(
            help="plain, mixed_dtypes (from_pretrained is asked for float32), or both with a comma between them."
        ),
    ] = "plain",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    world_size: Annotated[int, typer.Option(help="Number of ranks.")] = 2,
    timeout: Annotated[float, typer.Option(help="Seconds after which a case counts as hung.")] = 120.0,
    confirmations: Annotated[
        int | None,
        typer.Option(
            help="Reruns of a failing case. An exception that repeats is rerun only once. Default: 2; on a CPU 1 for "
            "the default set."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the earlier results in --out, and measure what is missing.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Measure the chosen cases again, and keep the others.")
    ] = False,
) -> None:
    """Measure one environment: the catalog's architectures, with both loaders."""
    require_choice("device", device, DEVICES)
    require_choice("catalog", catalog, PARTS)
    if python and environment:
        why = "one measures what is installed, the other installs what it measures"
        raise ConflictingOptionsError("--python", "--environment", why)
    known, where = load_environments(), resolve_device(device, world_size)
    named = read_named_environment(os.environ, known)
    found = find_environment(environment, (*known, *filter(None, [named]))) if environment else None
    chosen = architecture or catalog != "auto" or loader != ",".join(Loader)
    effort = Effort() if chosen else choose_effort(found, known[0], where)
    axes = Axes(
        parse_choices("loader", Loader, loader),
        parse_choices("check", CHECKS, check),
        parse_choices("precision", Precision, precision) if precision else effort.precisions,
        parse_choices("configuration", Configuration, configuration),
    )
    installed = python or Path(sys.executable)
    release = "" if architecture else _find_release(found, installed)
    architectures = choose_architectures(architecture or [], catalog, where, release)
    request = Request(
        out=out,
        tasks=plan_tasks(architectures, axes),
        environment=found,
        interpreter=None if found else installed,
        venv=venv,
        device=device,
        world_size=world_size,
        timeout=timeout,
        confirmations=effort.confirmations if confirmations is None else confirmations,
        resume=resume,
        again=again,
    )
    raise typer.Exit(summarise(_measure(request, measure_sparingly if effort.sparing else measure)))


def _find_release(environment: Environment | None, installed: Path) -> str:
    return environment.transformers if environment else describe(installed)["transformers"]


def _measure(request: Request, do: Callable[[Request, Progress], Cell]) -> Cell:
    try:
        with show_progress() as progress:
            return do(request, progress)
    except CancelledError:
        raise CancelledError(KEPT) from None
    except ProbeDiedError:
        say(KEPT, err=True)
        raise


def summarise(cell: Cell) -> int:
    """Prints one line for each loader and returns the exit code."""
    if cell.error:
        say(f"{cell.environment.id}: environment\n{cell.error.message}")
        return INFRASTRUCTURE
    for loader in Loader:
        counts = Counter(case.verdict for case in cell.cases if case.loader is loader)
        words = ", ".join(f"{counts[verdict]} {verdict}" for verdict in sorted(counts, key=lambda v: v.rank))
        if words:
            say(f"{cell.environment.id} {loader}: {words} of {counts.total()}")
    return int(any(case.verdict.wrong_values for case in cell.cases))

"""`zero3 run`: measures one environment."""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from matrix.catalog.catalog import load_catalog, read_added
from matrix.catalog.coverage import select_covering
from matrix.catalog.lockfile import read_lock
from matrix.catalog.select import select
from matrix.checks import CHECKS, DEFAULT, Axes
from matrix.command_line.options import DEVICES, Architectures, require_choice
from matrix.command_line.output import say
from matrix.environments.choose import find_environment, load_environments, read_named_environment
from matrix.errors import INFRASTRUCTURE, CancelledError, ConflictingOptionsError, ProbeDiedError
from matrix.measure.cell import measure
from matrix.measure.device import resolve_device
from matrix.measure.request import Request
from matrix.measure.tasks import parse_choices, plan_tasks
from matrix.model import Architecture, Cell, Configuration, Device, Loader, Precision
from matrix.progress import show_progress

PARTS = ("auto", "full", "sites")
"""Which part of the catalog is measured where no architecture is named."""
KEPT = "the results so far are kept, and the same command with --resume continues"


def choose_architectures(globs: Sequence[str], part: str, device: Device) -> tuple[Architecture, ...]:
    """Returns what `globs` name, else that `part` of the catalog; says on stderr what the part leaves out.

    Raises UnknownNameError.
    """
    catalog = load_catalog()
    if globs or part == "full" or (part == "auto" and device is Device.CUDA):
        return select(catalog, globs)
    lock = read_lock()
    left_out = {locked.id for locked in lock.architectures} - {*select_covering(lock), *read_added()}
    say(
        f"measuring {len(catalog) - len(left_out)} architectures, at least one for each buffer site and for each module "
        f"class that a float32 list names; {len(left_out)} others are left out (--catalog full measures them too)",
        err=True,
    )
    return tuple(architecture for architecture in catalog if architecture.id not in left_out)


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
    loader: Annotated[str, typer.Option(help="stock, fixed, or both with a comma between them.")] = "stock,fixed",
    check: Annotated[str, typer.Option(help=f"{', '.join(CHECKS)}, or several with commas.")] = ",".join(
        DEFAULT.checks
    ),
    precision: Annotated[str, typer.Option(help=f"{', '.join(Precision)}, or several with commas.")] = ",".join(
        DEFAULT.precisions
    ),
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
        int, typer.Option(help="Reruns of a failing case. An exception that repeats is rerun only once.")
    ] = 2,
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
    axes = Axes(
        parse_choices("loader", Loader, loader),
        parse_choices("check", CHECKS, check),
        parse_choices("precision", Precision, precision),
        parse_choices("configuration", Configuration, configuration),
    )
    known = load_environments()
    named = read_named_environment(os.environ, known)
    found = find_environment(environment, (*known, *filter(None, [named]))) if environment else None
    architectures = choose_architectures(architecture or [], catalog, resolve_device(device, world_size))
    request = Request(
        out=out,
        tasks=plan_tasks(architectures, axes),
        environment=found,
        interpreter=None if environment else (python or Path(sys.executable)),
        venv=venv,
        device=device,
        world_size=world_size,
        timeout=timeout,
        confirmations=confirmations,
        resume=resume,
        again=again,
    )
    raise typer.Exit(summarise(_measure(request)))


def _measure(request: Request) -> Cell:
    try:
        with show_progress() as progress:
            return measure(request, progress)
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

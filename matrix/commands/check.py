"""`zero3 check`: checks a model of the user's own."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from matrix import clock
from matrix.advice.known import load_known
from matrix.catalog.catalog import load_catalog
from matrix.catalog.lock import ScannedVersion
from matrix.catalog.lockfile import read_lock
from matrix.checks import CHECKS, Axes
from matrix.command_line.options import DEVICES, require_choice
from matrix.command_line.output import say
from matrix.measure.request import Request
from matrix.measure.tasks import parse_choices, plan_tasks
from matrix.own_model import measure as own
from matrix.own_model import target as targets
from matrix.own_model.causes import find_causes
from matrix.own_model.diagnosis import add_reasons, diagnose, uses_own_code
from matrix.own_model.stated import read_stated
from matrix.own_model.text import build_diagnosis_values, format_diagnosis
from matrix.progress import show_progress


def check_model(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A folder or file with a config.json, module:ClassName, a model type, or a model of a hub (org/name).",
        ),
    ],
    class_name: Annotated[
        str, typer.Option("--class", help="The class that takes the config.json, as module:ClassName.", metavar="CLASS")
    ] = "",
    python: Annotated[
        Path | None, typer.Option(help="Interpreter of your training environment. Default: the current one.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Keep the model's sizes instead of making it tiny.")] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the code that is in the folder. Read it first.")
    ] = False,
    precision: Annotated[
        str,
        typer.Option(
            help="float32, bf16 or fp16, or several with commas. Default: the dtype of its config.json, else float32 and bf16."
        ),
    ] = "",
    check: Annotated[
        str, typer.Option(help=f"{', '.join(CHECKS)}, or several with commas. Default: all that apply to the model.")
    ] = ",".join(CHECKS),
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    world_size: Annotated[int, typer.Option(help="Number of ranks.")] = 2,
    timeout: Annotated[float, typer.Option(help="Seconds after which a step counts as hung.")] = 120.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder to keep the records and the log in.")] = None,
    source_of_pairs: Annotated[
        str,
        typer.Option(
            "--from", help="Where to look for safer versions: a folder of results, a history, or a published site."
        ),
    ] = "results",
) -> None:
    """Is this environment safe for your own model? Exit code 1 when it is not, 3 when that is unknown."""
    require_choice("device", device, DEVICES)
    entries = () if full or class_name else targets.find_catalogued(target, load_catalog())
    source = None if entries else targets.find_source(target, trusted=trust_remote_code, full=full)
    source = targets.add_class(source, class_name) if source and class_name else source
    stated = read_stated(
        source.config if source else {}, precision, adapter=bool(source) and targets.has_adapter(target)
    )
    axes = Axes(checks=parse_choices("check", CHECKS, check), precisions=stated.precisions)
    with own.open_folder(out) as folder:
        request = Request(
            out=folder,
            tasks=plan_tasks(entries, axes),
            interpreter=python or Path(sys.executable),
            device=device,
            world_size=world_size,
            timeout=timeout,
        )
        with show_progress() as progress:
            cell, resolved = own.measure_own_model(source, request, progress, axes)
    looked = read_lock().versions.get(cell.environment.transformers, ScannedVersion({}))
    safe = own.find_safe_pairs(cell, source_of_pairs, clock.today())
    found = add_reasons(diagnose(cell, resolved, safe, stated), looked)
    found = replace(found, own_code=uses_own_code(source), causes=find_causes(cell, load_known()))
    say(json.dumps(build_diagnosis_values(found)) if as_json else "\n".join(format_diagnosis(found)))
    raise typer.Exit(found.answer.exit_code)

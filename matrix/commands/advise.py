"""`zero3 advise`: says which versions are safe for a model."""

import json
from pathlib import Path
from typing import Annotated

import typer

from matrix import clock
from matrix.advice.advice import Advice, Age, Ask, advise
from matrix.advice.advice import format_constraints as constraint_lines
from matrix.advice.source_type import detect_source_type
from matrix.advice.sources import ResultSource, find_architecture, open_source
from matrix.advice.text import advice_lines, advice_values
from matrix.command_line.options import require_choice
from matrix.command_line.output import say
from matrix.errors import OutputError
from matrix.model import Device, Loader, Precision


def advise_pairs(
    architecture: Annotated[str, typer.Option(help="Your model: a catalog id, a model type or a class.")],
    transformers: Annotated[str, typer.Option(help="Ask about this version of transformers.")] = "",
    deepspeed: Annotated[str, typer.Option(help="Ask about this version of DeepSpeed.")] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda. Default: both.")] = "",
    loader: Annotated[str, typer.Option(help="stock or fixed.")] = "stock",
    precision: Annotated[
        str, typer.Option(help="float32, bf16 or fp16: answer for this one only. Default: each that was measured.")
    ] = "",
    source: Annotated[
        str,
        typer.Option(
            "--from", help="A folder of results, a history or its database, or the address of a published site."
        ),
    ] = "results",
    constraints: Annotated[
        Path | None, typer.Option(help="Write the best pair to this file, as constraints for pip.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show which versions are safe for a model; exit code 1 when the named versions are not, 3 when nothing is known."""
    require_choice("loader", loader, list(Loader))
    if device:
        require_choice("device", device, list(Device))
    if precision:
        require_choice("precision", precision, list(Precision))
    place = Device(device) if device else None, Loader(loader), Precision(precision) if precision else None
    ask = Ask(transformers, deepspeed, *place)
    say(f"from {detect_source_type(source)} {source}", err=True)
    known = open_source(source)
    name = find_architecture(architecture, known.names)
    advice = advise(name, known.tried(name), ask, Age(known.night, clock.today()))
    say(json.dumps(advice_values(advice)) if as_json else "\n".join(advice_lines(advice)))
    if constraints:
        say(_constrain(constraints, advice, known), err=True)
    raise typer.Exit(advice.answer.exit_code)


def _constrain(path: Path, advice: Advice, known: ResultSource) -> str:
    """Writes the constraints of the best pair to `path` and returns a line that says so."""
    if not advice.safe:
        return f"{path} was not written: no pair is known to be safe"
    best = advice.safe[0]
    try:
        path.write_text("".join(f"{line}\n" for line in constraint_lines(best, known.others(best))), encoding="utf-8")
    except OSError as error:
        raise OutputError(path, error) from error
    return f"{path} pins transformers {best.transformers} and deepspeed {best.deepspeed}"

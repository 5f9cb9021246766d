"""How the command lines of this project end, and the options that several commands have."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from matrix.errors import MatrixError, UnknownNameError
from matrix.model import Device
from matrix.process.temporary import remove_abandoned_folders

DEVICES = ("auto", *map(str, Device))
Architectures = Annotated[
    list[str] | None,
    typer.Option(
        "--architecture", help="Only architectures whose id, model type or class matches this glob. May be repeated."
    ),
]


def require_choice(what: str, value: str, known: Sequence[str]) -> None:
    """Raises UnknownNameError where `value` is not one of the `known`."""
    if value not in known:
        raise UnknownNameError(what, [value], known)


def run_app(app: typer.Typer) -> None:
    """Runs `app`; every known failure becomes one message and its exit code.

    What a killed process of ours left in the temporary folder is removed first.
    """
    remove_abandoned_folders()
    try:
        app()
    except MatrixError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)

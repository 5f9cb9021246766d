"""How a command line of this project ends, and what its commands ask for alike."""

import sys
from collections.abc import Sequence

import typer

from matrix.errors import MatrixError, UnknownNameError
from matrix.model import Device

DEVICES = ("auto", *map(str, Device))


def one_of(what: str, value: str, known: Sequence[str]) -> None:
    """Raise UnknownNameError where `value` is none of the `known`."""
    if value not in known:
        raise UnknownNameError(what, [value], known)


def run(app: typer.Typer) -> None:
    """Run `app`; every known failure is one message and its exit code."""
    try:
        app()
    except MatrixError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)

"""How a command line of this project ends."""

import sys

import typer

from matrix.errors import MatrixError


def run(app: typer.Typer) -> None:
    """Run `app`; every known failure is one message and its exit code."""
    try:
        app()
    except MatrixError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)

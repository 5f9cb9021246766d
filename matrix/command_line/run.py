"""Runs a command line and ends it: every known failure is a message and an exit code."""

import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Final

import typer

from matrix.command_line.options import is_checkout
from matrix.command_line.output import say
from matrix.errors import IncompleteInstallationError, MatrixError
from matrix.process.run import ROOT
from matrix.process.temporary import remove_abandoned_folders

_PARTS: Final = {ROOT / "matrix", ROOT / "bot"}
"""The folders of this project's data files."""


def run_app(app: typer.Typer) -> None:
    """Runs `app`; every known failure becomes one message and its exit code.

    What a killed process of ours left in the temporary folder is removed first.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled CI job asks this way: end like Ctrl-C
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # records quote tools that draw with more than ASCII
    remove_abandoned_folders()
    try:
        app()
    except (MatrixError, FileNotFoundError) as raised:
        error = _explain(raised)
        say(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def _explain(raised: Exception) -> MatrixError:
    """Returns the known failure that `raised` is; raises it again where it is none."""
    for error in (raised, raised.__cause__):
        if isinstance(error, FileNotFoundError) and _PARTS & {*Path(str(error.filename)).parents}:
            return IncompleteInstallationError(Path(error.filename), checkout=is_checkout())
    if isinstance(raised, MatrixError):
        return raised
    raise raised

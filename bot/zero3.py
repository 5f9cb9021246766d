"""The command `zero3`. Exit codes: 0 as expected, 1 not so, 2 wrong usage, 3 infrastructure."""

import sys

from matrix.command_line.host_python import explain_unusable

if problem := explain_unusable():
    sys.stderr.write(problem)
    sys.exit(3)

from bot.commands import GROUPS, ZERO3
from matrix.command_line.run import run_app
from matrix.command_line.table import make_app

app = make_app(
    ZERO3,
    "Does a model survive from_pretrained and save_pretrained under DeepSpeed ZeRO-3, value by value, on every rank?",
    GROUPS,
)


def cli() -> None:
    """Runs the command line."""
    run_app(app)

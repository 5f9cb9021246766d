"""`python -m matrix`: the commands that measure and compare. Exit codes: 0 as expected, 1 not so, 2 wrong usage, 3 infrastructure."""

import sys

from matrix.command_line.host_python import explain_unusable

if problem := explain_unusable():
    sys.stderr.write(problem)
    sys.exit(3)

from matrix.command_line.run import run_app
from matrix.command_line.table import make_app
from matrix.commands import COMMANDS

app = make_app(
    {command.name: command.function for command in COMMANDS},
    "Does a model survive from_pretrained and save_pretrained under DeepSpeed ZeRO-3, value by value, on every rank?",
    {},
)

if __name__ == "__main__":
    run_app(app)

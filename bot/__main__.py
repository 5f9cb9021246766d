"""`python -m bot`: what people and the workflows are shown. Exit codes: 0 done, 2 usage, 3 infrastructure."""

import sys

from matrix.command_line.host_python import explain_unusable

if problem := explain_unusable():
    sys.stderr.write(problem)
    sys.exit(3)

from bot.commands import COMMANDS, GROUPS
from matrix.command_line.run import run_app
from matrix.command_line.table import make_app

app = make_app(
    {command.name: command.function for command in COMMANDS},
    "Write reports, pull request comments and the dashboard from what the matrix measured.",
    {"nightly": GROUPS["nightly"]},
)

if __name__ == "__main__":
    run_app(app)

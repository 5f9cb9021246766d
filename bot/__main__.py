"""The command line: `python -m bot report`, and what the workflows call. Exit codes: 0 done, 2 usage, 3 infrastructure."""

import sys
from functools import cache
from io import TextIOWrapper
from typing import Any

import typer
from typer.core import TyperGroup

from bot.commands import dashboard, report
from matrix.command_line import run_app


@cache
def _others() -> TyperGroup:
    """Returns the commands that the workflows call; with PyGithub, they take half a second to import."""
    from bot.commands import documents, nightly, pull_request

    others = typer.Typer()
    others.add_typer(documents.app)
    others.add_typer(pull_request.app)
    others.add_typer(nightly.app, name="nightly")
    return typer.main.get_group(others)


class _Group(TyperGroup):
    """The commands for people, and the other ones, which are imported when one is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        self.commands.update(_others().commands)
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands:
            self.commands.update(_others().commands)
        return super().get_command(ctx, cmd_name)


app = typer.Typer(cls=_Group, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(report.app)
app.add_typer(dashboard.app)


@app.callback()
def main() -> None:
    """Write reports, pull request comments and the dashboard from what the matrix measured."""


def cli() -> None:
    """Run the command line."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # records quote tools that draw with more than ASCII
    run_app(app)


if __name__ == "__main__":
    cli()

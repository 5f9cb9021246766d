"""The command line. Exit codes: 0 as expected, 1 not so, 2 wrong usage, 3 infrastructure."""

import signal
import sys
from collections.abc import Callable
from typing import Final

try:
    import pydantic  # noqa: F401
    import rich  # noqa: F401
    import tomllib  # noqa: F401 - not in Python 3.10
    import typer
except ModuleNotFoundError as missing:
    sys.stderr.write(
        f"error: {missing.name} is missing in {sys.executable}. The measured interpreter does not need it: `nox -s host` "
        f"installs what the command line needs, then `.nox/host/bin/python -m matrix check TARGET --python {sys.executable}`\n"
    )
    sys.exit(3)

from matrix.command_line import run_app
from matrix.commands.advise import advise_pairs
from matrix.commands.bench import measure_speed
from matrix.commands.catalog import write_lock
from matrix.commands.check import check_model
from matrix.commands.compare import compare_runs
from matrix.commands.duel import measure_comparison_job
from matrix.commands.history import show_history
from matrix.commands.list import list_catalog
from matrix.commands.merge import merge_runs
from matrix.commands.night import measure_nightly_shard
from matrix.commands.run import measure_cell
from matrix.commands.schema import print_schema

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "run": measure_cell,
    "compare": compare_runs,
    "duel": measure_comparison_job,
    "advise": advise_pairs,
    "history": show_history,
    "schema": print_schema,
    "bench": measure_speed,
    "list": list_catalog,
    "catalog": write_lock,
    "check": check_model,
    "night": measure_nightly_shard,
    "merge": merge_runs,
}
for name, command in COMMANDS.items():
    app.command(name)(command)


@app.callback()
def main() -> None:
    """Does a model survive from_pretrained and save_pretrained under DeepSpeed ZeRO-3, value by value, on every rank?"""


def cli() -> None:
    """Runs the command line."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled CI job asks this way: end like Ctrl-C
    run_app(app)


if __name__ == "__main__":
    cli()

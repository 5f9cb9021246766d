"""`zero3 catalog`: discovers architectures and writes the lock of the catalog."""

from pathlib import Path
from typing import Annotated

import typer

from matrix.catalog.catalog import read_config_exceptions, read_popular
from matrix.catalog.listing import describe_version
from matrix.catalog.lockfile import PATH, format_lock
from matrix.command_line.options import require_checkout
from matrix.command_line.output import say
from matrix.discovery.build_lock import DiscoverySetup, make_lock
from matrix.discovery.build_names import build_names
from matrix.environments.choose import load_environments, select_set
from matrix.environments.packages import CROSSED
from matrix.environments.releases import describe_new_release
from matrix.errors import NoIndexError, OutputError
from matrix.progress import show_progress
from matrix.saved_names import PATH as NAMES


def write_lock(
    out: Annotated[
        Path | None,
        typer.Option(
            help="The lock to write; saved_names.json is written to the same folder. Default: that of this checkout."
        ),
    ] = None,
    venvs: Annotated[
        Path, typer.Option(envvar="ZERO3_VENVS", help="Folder of installed environments, which later runs use again.")
    ] = Path(".zero3/venvs"),
    nightly: Annotated[str, typer.Option("--set", help="Scan the versions in this set of environments.")] = "nightly",
) -> None:
    """Discover every version's architectures with buffers or a float32 list, and write catalog.lock.json.

    Then every version saves the tiny models, and saved_names.json keeps the names, shapes and dtypes.
    """
    lock_file = out or require_checkout(PATH, "name the file to write with --out")
    known = load_environments()
    wanted_environments = select_set(nightly, known)
    try:
        for package in CROSSED:
            if news := describe_new_release(package, known):
                say(news, err=True)
    except NoIndexError as error:
        say(f"warning: {error}", err=True)
    try:
        with show_progress() as progress:
            means = DiscoverySetup(venvs.resolve(), read_config_exceptions(), progress, read_popular())
            lock = make_lock(wanted_environments, means)
            names = build_names(lock, wanted_environments, means)
        lock_file.write_text(format_lock(lock), encoding="utf-8")
        lock_file.with_name(NAMES.name).write_text(names, encoding="utf-8")
    except OSError as error:
        raise OutputError(lock_file, error) from error
    for version in lock.versions:
        say(describe_version(lock, version))

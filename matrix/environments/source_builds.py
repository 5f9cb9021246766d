"""Builds pull requests' code at exact commits, confined, on top of releases, and makes checkouts.

Releases are installed first, with the ordinary cache. Everything else is then built and installed with a cache of its own,
since a build runs any code: it can change the environment that it is installed in, and nothing else that is kept.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from matrix.environments.install import build_pip_install, find_uv, install
from matrix.environments.pins import ADDRESS
from matrix.environments.pip_config import build_uv_variables
from matrix.environments.spec import Environment
from matrix.errors import EnvironmentFailedError
from matrix.process.run import run_confined
from matrix.process.sandbox import Sandbox
from matrix.process.variables import filter_variables


def install_confined(environment: Environment, venv: Path, sandbox: Sandbox) -> Path:
    """Makes a fresh `venv` with the pins and returns its interpreter; uses one that it finished before again.

    Raises EnvironmentFailedError, also when another commit is installed than was asked for.
    """
    finished, asked = (
        venv.with_name(f"{venv.name}.installed"),
        "\n".join((environment.python, *environment.requirements)),
    )
    if finished.exists() and finished.read_text() == asked:
        return venv / "bin" / "python"
    finished.unlink(missing_ok=True)
    if venv.exists():  # made by a build that failed: its interpreter is not to be run unconfined
        shutil.rmtree(venv)
    interpreter = install(environment.released, venv, _installer())
    if environment.released != environment:
        _build(environment, venv.resolve(), sandbox)
    finished.write_text(asked)
    return interpreter


def _installer() -> dict[str, str]:
    """Returns the variables of the installer of releases: its own credentials and cache, but none of GitHub's runner."""
    outer = build_uv_variables(os.environ)
    kept = {*filter_variables(outer), "HOME", "UV_CACHE_DIR", "SSL_CLIENT_CERT"}
    return {**{name: value for name, value in outer.items() if name in kept}, "UV_LINK_MODE": "copy"}


def _build(environment: Environment, venv: Path, sandbox: Sandbox) -> None:
    variables = build_uv_variables(os.environ)
    command = [
        find_uv(),
        *build_pip_install(environment, venv / "bin" / "python", variables),
        *environment.requirements,
    ]
    folders = (Path(pin).expanduser().resolve() for pin in environment.pins.values() if "://" not in pin)
    sources = [folder for folder in folders if folder.is_dir()]
    sandbox.give(venv)
    try:
        run_confined(command, sandbox, [venv, *sources], variables, network=True)
    finally:
        sandbox.take(venv)
    if wrong := list(find_other_commits(environment, venv)):
        raise EnvironmentFailedError(environment.id, "\n".join(wrong))


def find_other_commits(environment: Environment, venv: Path) -> Iterator[str]:
    """Yields what is not installed from the commit that was asked for, by the record of the installer (PEP 610)."""
    for requirement in environment.requirements:
        name, _, address = requirement.partition(" @ ")
        if address and (asked := ADDRESS.fullmatch(address)) and (found := _installed(name, venv)) != asked[2]:
            yield f"{name} is installed from commit {found or 'unknown'}, not from {asked[2]}"


def _installed(name: str, venv: Path) -> str:
    for file in venv.glob(f"lib/python*/site-packages/{name}-*.dist-info/direct_url.json"):
        if not file.is_file():
            continue
        try:
            with file.open("rb") as record:  # any program may have written it
                commit = str(json.loads(record.read(10_000))["vcs_info"]["commit_id"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return ""
        return commit if re.fullmatch("[0-9a-f]{40}", commit) else ""
    return ""


def checkout(pin: str, folder: Path, sandbox: Sandbox) -> Path:
    """Makes `folder` have the files of the commit that `pin` names; raises EnvironmentFailedError when it has others."""
    asked = ADDRESS.fullmatch(pin)
    if asked is None:
        raise EnvironmentFailedError(folder.name, "a checkout is named git+https://...@<40 hexadecimal digits>")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sandbox.give(folder)
    git, variables = ["git", "-C", str(folder.resolve())], build_uv_variables(os.environ)
    steps = (["init", "--quiet"], ["fetch", "--quiet", "--depth", "1", asked[1], asked[2]])
    for step in (*steps, ["checkout", "--quiet", "--detach", "FETCH_HEAD"]):
        run_confined([*git, *step], sandbox, [folder], variables, network=True)
    found = run_confined([*git, "rev-parse", "HEAD"], sandbox, [folder]).strip()
    sandbox.take(folder)
    if found != asked[2]:
        raise EnvironmentFailedError(folder.name, f"the checkout is not of commit {asked[2]}")
    return folder

"""Installs environments with code that nobody has reviewed, confined, and makes checkouts.

What the index has as wheels is installed first, with the ordinary cache: no code of it runs. Everything else, releases that
come as sources too, is built elsewhere, see `matrix.environments.wheels`. Its wheels are then installed, confined as well:
no build ever sees the environment.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from matrix.environments.install import build_pip_install, find_uv, install_wheels, make_venv
from matrix.environments.pins import ADDRESS
from matrix.environments.pip_config import build_uv_variables
from matrix.environments.spec import Environment
from matrix.environments.wheels import Archive, Builder, fetch_archive, find_archives
from matrix.errors import EnvironmentFailedError
from matrix.process.run import run_confined
from matrix.process.sandbox import Sandbox
from matrix.process.temporary import temporary_folder
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
    interpreter = make_venv(environment, venv, _installer())
    archives = find_archives(environment.requirements, interpreter)
    sources = {need for need in environment.requirements if need in archives or "/" in need}
    ready = tuple(need for need in environment.released.requirements if need not in sources)
    if ready:
        install_wheels(environment, ready, interpreter, _installer())
    if sources:
        with temporary_folder("build") as folder:
            sandbox.give(folder)
            builder = Builder(folder, interpreter, sandbox)
            built = {need: _build(need, archives, builder) for need in environment.requirements if need in sources}
            _install_built(environment, venv.resolve(), built, builder)
    finished.write_text(asked)
    return interpreter


def _installer() -> dict[str, str]:
    """Returns the variables of the installer of releases: its own credentials and cache, but none of GitHub's runner."""
    outer = build_uv_variables(os.environ)
    kept = {*filter_variables(outer), "HOME", "UV_CACHE_DIR", "SSL_CLIENT_CERT"}
    return {**{name: value for name, value in outer.items() if name in kept}, "UV_LINK_MODE": "copy"}


def _build(need: str, archives: Mapping[str, Archive], builder: Builder) -> Path:
    """Returns the wheel of a requirement that comes as sources."""
    place = builder.folder / hashlib.sha256(need.encode()).hexdigest()[:12]
    place.mkdir()
    if need in archives:
        return builder.build(builder.unpack(fetch_archive(archives[need], place)), place)
    pin = need.partition(" @ ")[2] or need
    if asked := ADDRESS.fullmatch(pin):
        subdirectory = (asked[3] or "#subdirectory=").partition("=")[2]
        return builder.build(_find_inside(checkout(pin, place / "sources", builder.sandbox), subdirectory), place)
    return builder.build(shutil.copytree(pin.removeprefix("file://"), place / "sources", symlinks=True), place)


def _find_inside(sources: Path, subdirectory: str) -> Path:
    folder = (sources / subdirectory).resolve()
    if not folder.is_relative_to(sources.resolve()):
        raise EnvironmentFailedError(sources.name, f"{subdirectory} leads out of the sources")
    return folder


def _install_built(environment: Environment, venv: Path, built: Mapping[str, Path], builder: Builder) -> None:
    """Installs the environment with wheels in place of the requirements that they were built for."""
    variables = build_uv_variables(os.environ)
    command = [find_uv(), *build_pip_install(environment, venv / "bin" / "python", variables), "--no-build"]
    needs = [_as_wheel(need, built[need]) if need in built else need for need in environment.requirements]
    builder.sandbox.give(venv)
    try:
        run_confined([*command, *needs], builder.sandbox, [venv, builder.folder], variables, network=True)
    finally:
        builder.sandbox.take(venv)
    for need in built:
        _record(need, venv)


def _as_wheel(need: str, wheel: Path) -> str:
    name = re.split("==| @ ", need)[0]
    return str(wheel) if "/" in name else f"{name} @ {wheel.as_uri()}"


def _record(need: str, venv: Path) -> None:
    """Writes from which commit a package was built (PEP 610): the host knows it, the build could say anything."""
    name = re.split("==| @ ", need)[0]
    if "/" in name:
        return
    found = list(venv.glob(f"lib/python*/site-packages/{name.replace('-', '_')}-*.dist-info"))
    if len(found) != 1 or found[0].is_symlink():
        raise EnvironmentFailedError(name, "building it does not make a package of that name")
    record = found[0] / "direct_url.json"
    record.unlink(missing_ok=True)  # never through a link; a release has none
    if asked := ADDRESS.fullmatch(need.partition(" @ ")[2]):
        source = {"url": asked[1], "vcs_info": {"vcs": "git", "commit_id": asked[2], "requested_revision": asked[2]}}
        record.write_text(json.dumps(source))


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

"""Installs environments with uv: the only door to the installer."""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from packaging.specifiers import SpecifierSet

from matrix.environments.pip_config import build_uv_variables
from matrix.environments.spec import Environment
from matrix.errors import EnvironmentFailedError, NoIndexError
from matrix.process.run import run


def install(environment: Environment, venv: Path, variables: Mapping[str, str] | None = None) -> Path:
    """Installs the environment's pins into `venv` and returns its interpreter; what is there is not fetched again.

    `variables` are those of the installer; without them it has this process's. Raises EnvironmentFailedError with the
    resolver's message.
    """
    variables = {**build_uv_variables(os.environ if variables is None else variables), "DS_BUILD_OPS": "0"}
    with _whole_or_gone(venv):
        interpreter = make_venv(environment, venv, variables)
        if environment.requirements:
            target = build_pip_install(environment, interpreter, variables)
            _run_uv([*target, *environment.requirements], environment.id, variables)
    return interpreter


@contextmanager
def _whole_or_gone(venv: Path) -> Iterator[None]:
    """Deletes `venv` where an installation into it was cut short: half a package can look installed. Others wait meanwhile."""
    venv.parent.mkdir(parents=True, exist_ok=True)
    with venv.with_name(f"{venv.name}.installing").open("a") as begun:
        fcntl.flock(begun, fcntl.LOCK_EX)
        if begun.tell():
            shutil.rmtree(venv, ignore_errors=True)
        else:
            begun.write("begun\n")
            begun.flush()
        yield
        begun.truncate(0)


def make_venv(environment: Environment, venv: Path, variables: Mapping[str, str]) -> Path:
    """Makes an empty `venv` of the environment's Python, unless it is there, and returns its interpreter."""
    interpreter = venv / "bin" / "python"
    if not interpreter.exists():
        here = ".".join(map(str, sys.version_info[:3]))
        python = sys.executable if here in SpecifierSet(environment.python) else environment.python
        _run_uv(["venv", "--quiet", "--clear", "--python", python, str(venv)], environment.id, variables)
    return interpreter


def install_wheels(
    environment: Environment, requirements: Sequence[str], interpreter: Path, variables: Mapping[str, str]
) -> None:
    """Installs some of the environment's `requirements` from wheels alone, so that none of their code runs."""
    target = build_pip_install(environment, interpreter, variables)
    _run_uv([*target, "--no-build", *requirements], environment.id, variables)


def find_uv() -> str:
    """Returns the path of uv's binary."""
    from uv import find_uv_bin  # not needed where an interpreter is given

    return str(find_uv_bin())


def build_pip_install(environment: Environment, interpreter: Path, variables: Mapping[str, str]) -> list[str]:
    """Returns uv's arguments, without the requirements, to install `environment` for `interpreter`."""
    backend = _torch_backend(environment, variables)
    return ["pip", "install", "--quiet", "--python", str(interpreter), *backend]


def fetch_newest_release(package: str) -> str:
    """Fetches the newest version of `package` that the configured index has; raises NoIndexError."""
    # Without dependencies uv needs no metadata, so that it builds none of a release that comes as sources.
    question = ["pip", "compile", "--quiet", "--no-deps", "--no-annotate", "--no-header", "-"]
    done = run([find_uv(), *question], build_uv_variables(os.environ), package)
    if done.returncode:
        raise NoIndexError(package, done.stderr)
    return done.stdout.strip().partition("==")[2]


def _run_uv(arguments: Sequence[str], environment: str, variables: Mapping[str, str]) -> None:
    done = run([find_uv(), *arguments], variables)
    if done.returncode:
        raise EnvironmentFailedError(environment, done.stderr.strip())


def _torch_backend(environment: Environment, variables: Mapping[str, str]) -> list[str]:
    """Asks for the CPU build of torch where no NVIDIA driver is, unless a local folder of wheels offers a build."""
    folders = [Path(folder) for folder in variables.get("UV_FIND_LINKS", "").split(",") if folder]
    local = any(next(folder.glob(f"torch-{environment.torch}+*.whl"), None) for folder in folders)
    if local or "UV_TORCH_BACKEND" in variables or shutil.which("nvidia-smi"):
        return []
    return ["--torch-backend", "cpu"]

"""Asks an interpreter which versions of the measured packages it has."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from matrix.environments.packages import CROSSED, PINNED, RECORDED
from matrix.errors import EnvironmentFailedError
from matrix.process.run import run, run_confined
from matrix.process.sandbox import Sandbox

_DESCRIBE = """
import sys
sys.path[:] = filter(None, sys.path)  # not this folder: Python 3.10 knows no PYTHONSAFEPATH
import json, platform
found = {"python": platform.python_version()}
if sys.version_info >= (3, 10):
    from importlib.metadata import PackageNotFoundError, version
    for name in sys.argv[1:]:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
print(json.dumps(found))
"""
_VERSIONS = TypeAdapter(dict[str, str])
_OLDEST: Final = (3, 10)
"""The oldest Python that the probe runs in."""
_PATHS: Final = frozenset({"PYTHONPATH", "PYTHONHOME"})
"""Variables that say where a Python finds its packages: this process's are not those of another Python, nor the probe's."""


def describe(interpreter: Path, sandbox: Sandbox | None = None) -> dict[str, str]:
    """Returns the versions of python and of each of RECORDED that `interpreter` has; empty if missing.

    Raises EnvironmentFailedError when it does not run at all, is too old, or a package that every environment names is
    missing.
    """
    try:
        versions = _VERSIONS.validate_json(_ask_versions(interpreter, sandbox))
    except ValidationError as error:
        raise EnvironmentFailedError(str(interpreter), "it does not report its versions") from error
    if problem := _find_problem(versions):
        raise EnvironmentFailedError(str(interpreter), problem)
    return versions


def find_interpreter(interpreter: Path) -> Path:
    """Returns the absolute path of an interpreter; a bare name is searched for on PATH, as a shell does."""
    return Path(shutil.which(interpreter) or interpreter).absolute()


def _find_problem(versions: Mapping[str, str]) -> str:
    """Returns why nothing can be measured with these `versions`, and what to do; empty where it can."""
    python = versions.get("python", "")
    number = re.match(r"(\d{1,4})\.(\d{1,4})", python)
    if number is None:
        return "it does not report its version"
    if (int(number[1]), int(number[2])) < _OLDEST:
        return f"it is Python {python}, and must be 3.10 or newer to be measured: name another with --python"
    missing = [name for name in (*PINNED, *CROSSED) if not versions.get(name)]
    if not missing:
        return ""
    return (
        f"not installed there: {', '.join(missing)}. Name the interpreter of your training environment with --python, "
        f"or install them there: pip install {' '.join(missing)}"
    )


def _ask_versions(interpreter: Path, sandbox: Sandbox | None) -> str:
    if sandbox:  # asking runs the .pth files that are installed there
        return run_confined([str(find_interpreter(interpreter)), "-c", _DESCRIBE, *RECORDED], sandbox)
    try:
        done = run([str(interpreter), "-c", _DESCRIBE, *RECORDED], _variables())
    except OSError as error:
        words = (
            f"it cannot be run ({error.strerror or error}): --python must be an interpreter, such as FOLDER/bin/python"
        )
        raise EnvironmentFailedError(str(interpreter), words) from error
    if done.returncode:
        words = done.stderr.strip() or f"it ended with exit status {done.returncode} and without a message"
        raise EnvironmentFailedError(str(interpreter), words)
    return done.stdout


def _variables() -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if name not in _PATHS}, "PYTHONSAFEPATH": "1"}

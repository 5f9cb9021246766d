"""Asks an interpreter which versions of the measured packages it has."""

import shutil
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from matrix.environments.packages import CROSSED, PINNED, RECORDED
from matrix.errors import EnvironmentFailedError
from matrix.process.run import run, run_confined
from matrix.process.sandbox import Sandbox

_DESCRIBE = """
import json, platform, sys
from importlib.metadata import PackageNotFoundError, version
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        found[name] = ""
print(json.dumps(found))
"""
_VERSIONS = TypeAdapter(dict[str, str])


def describe(interpreter: Path, sandbox: Sandbox | None = None) -> dict[str, str]:
    """Returns the versions of python and of each of RECORDED that `interpreter` has; empty if missing.

    Raises EnvironmentFailedError when it does not run at all, or a package that every environment names is missing.
    """
    try:
        versions = _VERSIONS.validate_json(_ask_versions(interpreter, sandbox))
    except ValidationError as error:
        raise EnvironmentFailedError(str(interpreter), "it does not report its versions") from error
    if missing := [name for name in (*PINNED, *CROSSED) if not versions.get(name)]:
        words = f"not installed there: {', '.join(missing)}"
        raise EnvironmentFailedError(str(interpreter), words)
    return versions


def find_interpreter(interpreter: Path) -> Path:
    """Returns the absolute path of an interpreter; a bare name is searched for on PATH, as a shell does."""
    return Path(shutil.which(interpreter) or interpreter).absolute()


def _ask_versions(interpreter: Path, sandbox: Sandbox | None) -> str:
    if sandbox:  # asking runs the .pth files that are installed there
        return run_confined([str(find_interpreter(interpreter)), "-c", _DESCRIBE, *RECORDED], sandbox)
    try:
        done = run([str(interpreter), "-c", _DESCRIBE, *RECORDED])
    except OSError as error:
        words = (
            f"it cannot be run ({error.strerror or error}): --python must be an interpreter, such as FOLDER/bin/python"
        )
        raise EnvironmentFailedError(str(interpreter), words) from error
    if done.returncode:
        words = done.stderr.strip() or f"it ended with exit status {done.returncode} and without a message"
        raise EnvironmentFailedError(str(interpreter), words)
    return done.stdout

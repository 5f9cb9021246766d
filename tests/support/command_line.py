"""Commands of this project in a process of their own, as people run them; also of a copy that a test adds something to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def command(*arguments: str | Path) -> list[str]:
    """Returns the command with these arguments, for this interpreter."""
    return [sys.executable, "-m", "matrix", *map(str, arguments)]


def variables(**more: str) -> dict[str, str]:
    """Returns this process's environment without what changes the command's output, and with `more`."""
    unset = ("ZERO3_", "FORCE_COLOR", "TTY_", "CUDA_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(unset)}, **more}


def matrix(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    return subprocess.run(
        command(*arguments), cwd=ROOT, env=variables(**more), capture_output=True, text=True, check=False
    )


def copy_tree(to: Path) -> Path:
    """Copies the code, the tests, the documents and the noxfile into `to`, and returns it."""
    for name in ("bot", "matrix", "tests", "docs"):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (*ROOT.glob("*.md"), ROOT / "noxfile.py"):
        shutil.copy(file, to)
    return to


def python(tree: Path, *arguments: str, **more: str) -> str:
    """Runs Python with the code of `tree`, and `more` variables; returns what it prints, or raises CalledProcessError."""
    environment = {**os.environ, "PYTHONPATH": str(tree), **more}
    run = subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, check=True, capture_output=True, text=True
    )
    return run.stdout

"""The command `python -m matrix` in a process of its own, as people run it."""

import os
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

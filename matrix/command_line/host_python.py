"""Says what an interpreter needs to run the command line. Standard library only, and any Python 3 can import it."""

import sys
from importlib.util import find_spec

OLDEST = (3, 11)
"""The oldest Python that runs the command line; what it measures may be older."""
PACKAGES = ("jinja2", "packaging", "pydantic", "requests", "rich", "typer")


def explain_unusable(major: int = sys.version_info[0], minor: int = sys.version_info[1]) -> str:
    """Returns why this interpreter, of that version, cannot run the command line, and what to do; empty where it can."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if (major, minor) < OLDEST:
        problem = f"{sys.executable} is Python {major}.{minor}, and the command line needs 3.11 or newer"
    elif missing:
        problem = f"missing in {sys.executable}: {', '.join(missing)}"
    else:
        return ""
    return (
        f"error: {problem}. The measured interpreter may be older and needs none of this: install zero3-matrix in an "
        f"environment of its own (`nox -s host` does, in .nox/host), then `zero3 check TARGET --python {sys.executable}`\n"
    )

"""Says what an interpreter needs to run the command line. Standard library only, and any Python 3 can import it."""

import sys
from importlib.util import find_spec

OLDEST = (3, 11)
"""The oldest Python that runs the command line; what it measures may be older."""
PACKAGES = {
    "jinja2": "jinja2",
    "markdown-it-py": "markdown_it",
    "packaging": "packaging",
    "pydantic": "pydantic",
    "pygithub": "github",
    "requests": "requests",
    "rich": "rich",
    "typer": "typer",
    "typing-extensions": "typing_extensions",
    "uv": "uv",
}
"""The dependencies in pyproject.toml, each with the module that it installs."""


def explain_unusable(major: int = sys.version_info[0], minor: int = sys.version_info[1]) -> str:
    """Returns why this interpreter, of that version, cannot run the command line, and what to do; empty where it can."""
    missing = [name for name, module in PACKAGES.items() if find_spec(module) is None]
    if (major, minor) < OLDEST:
        problem = f"{sys.executable} is Python {major}.{minor}, and the command line needs 3.11 or newer"
    elif missing:
        problem = f"missing in {sys.executable}: {', '.join(missing)}"
    else:
        return ""
    return (
        f"error: {problem}. The measured interpreter may be older and needs none of this: install zero3-matrix in an "
        f"environment of its own (in a clone `uv tool install .` does, or `nox -s host`, in .nox/host), "
        f"then `zero3 check TARGET --python {sys.executable}`\n"
    )

"""An interpreter that cannot run the command line is named in one sentence, with what to do."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement

from matrix.command_line.host_python import PACKAGES, explain_unusable
from tests.support.command_line import ROOT


def test_this_interpreter_will_do() -> None:
    assert not explain_unusable()


def test_a_python_that_is_too_old_is_named_with_what_to_do() -> None:
    assert explain_unusable(3, 10) == (
        f"error: {sys.executable} is Python 3.10, and the command line needs 3.11 or newer. The measured interpreter may be "
        "older and needs none of this: install zero3-matrix in an environment of its own "
        "(in a clone `uv tool install .` does, or `nox -s host`, in .nox/host), "
        f"then `zero3 check TARGET --python {sys.executable}`\n"
    )


@pytest.mark.parametrize("module", ["matrix", "bot", "bot.zero3"])
def test_missing_packages_are_named_and_nothing_else_is_said(tmp_path: Path, module: str) -> None:
    venv.create(tmp_path, symlinks=True)
    python = tmp_path / "bin" / "python"
    done = subprocess.run([python, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
    assert done.stderr.startswith(f"error: missing in {python}: {', '.join(PACKAGES)}. ")


def test_every_dependency_is_looked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [Requirement(one).name for one in project["dependencies"]] == [*PACKAGES]

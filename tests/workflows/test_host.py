"""`.ci/python`, with which every workflow starts, and the versions that it installs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / ".ci" / "requirements.txt").read_text(encoding="utf-8")
PINS = dict(re.findall(r"^([\w.-]+)==([\w.]+)", LOCK, re.MULTILINE))


def host(*arguments: str, **variables: str) -> str:
    command = [str(ROOT / ".ci" / "python"), *arguments]
    variables = {**os.environ, **variables}
    return subprocess.run(command, cwd="/", env=variables, capture_output=True, text=True, check=True).stdout


def test_every_dependency_is_locked_at_a_version_that_will_do() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for requirement in map(Requirement, project["dependencies"]):
        locked = PINS.get(canonicalize_name(requirement.name), "")
        assert requirement.specifier.contains(locked), (
            f"{requirement}: lock again with the command in .ci/requirements.txt"
        )


def test_every_locked_package_has_digests() -> None:
    blocks = re.split(r"\n(?=\S)", LOCK)
    assert all("--hash=sha256:" in block for block in blocks if not block.startswith("#"))
    assert len(PINS) == sum(not block.startswith("#") for block in blocks)


def test_the_locked_packages_run_the_command_lines() -> None:
    """Installs for real, from what pip is set up to use, when the lock is new."""
    assert "report" in host("-m", "bot", "--help")
    assert "list" in host("-m", "matrix", "--help")
    assert "host" in host("-c", "import github, sys; print(sys.prefix)")


def test_an_interpreter_that_has_everything_is_used_as_it_is() -> None:
    assert host("-c", "import sys; print(sys.executable)", ZERO3_PYTHON=sys.executable).strip() == sys.executable


def test_a_dashboard_does_not_wait_for_what_only_workflows_import() -> None:
    asked = "import sys, bot.__main__ as main; main.app(['report', '--help'], standalone_mode=False); print('github' in sys.modules)"
    assert subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.endswith("False\n")

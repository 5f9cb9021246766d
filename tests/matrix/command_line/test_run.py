"""How a command ends where this project itself is incomplete, or is not a checkout."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import ROOT, copy_tree, variables

DATA = {
    "matrix/catalog.lock.json": ("matrix", "list"),
    "matrix/catalog.toml": ("matrix", "list"),
    "matrix/environments.toml": ("matrix", "run", "--catalog", "full"),
    "matrix/environments/packages.toml": ("matrix", "list"),
    "bot/templates/report.html.j2": ("bot", "report", str(ROOT / "tests/data/records")),
}


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=tree, env=variables(), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_tree(tmp_path_factory.mktemp("copy"))


@pytest.mark.parametrize("name", DATA)
def test_a_missing_data_file_is_named_with_what_to_do(tree: Path, tmp_path: Path, name: str) -> None:
    (tree / name).rename(tmp_path / "away")
    done = run(tree, *DATA[name])
    (tmp_path / "away").rename(tree / name)
    assert done.returncode == 3, done.stderr
    assert done.stderr == (f"error: a file of zero3-matrix is missing: `git restore {tree / name}` brings it back\n")


def test_in_an_installation_a_missing_file_needs_an_installation(tree: Path, tmp_path: Path) -> None:
    lock, noxfile = tree / "matrix/catalog.lock.json", tree / "noxfile.py"
    lock.rename(tmp_path / "lock")
    noxfile.rename(tmp_path / "noxfile")
    done = run(tree, "matrix", "list")
    (tmp_path / "lock").rename(lock)
    (tmp_path / "noxfile").rename(noxfile)
    assert done.stderr == f"error: a file of zero3-matrix is missing: it is {lock}. Install zero3-matrix again\n"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("matrix", "catalog"), "matrix/catalog.lock.json to write, and this one is installed: name the file to write with --out"),
        (("bot", "documents"), "docs to write, and this one is installed: clone the repository to change its documents"),
    ],
)  # fmt: skip
def test_what_is_installed_does_not_write_into_itself(tree: Path, command: tuple[str, str], message: str) -> None:
    (tree / "noxfile.py").unlink(missing_ok=True)
    done = run(tree, *command)
    assert (done.returncode, done.stderr) == (2, f"error: only a checkout of zero3-matrix has {message}\n")

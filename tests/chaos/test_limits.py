"""A machine without space: nothing is called a model's fault, and the same command goes on once there is space again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from matrix.model import Cell
from matrix.process.run import ROOT
from matrix.results.read import read_run
from matrix.verdicts import Verdict

pytestmark = [pytest.mark.chaos, pytest.mark.measured]

ON_A_SMALL_DISK = 'mount -t tmpfs -o size="$1" tmpfs "$TMPDIR"; shift; exec "$@"'
"""A shell script whose temporary folder has so much space, for it and its command alone."""


def measure(interpreter: Path, folder: Path, space: str = "") -> subprocess.CompletedProcess[str]:
    (temporary := folder / "temporary").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "matrix", "run", "--resume", "--device", "cpu", "--out", str(folder / "out")]
    command += ["--python", str(interpreter), "--architecture", "deepseek_v3:*", "--architecture", "llama:*"]
    if space:
        own = () if os.geteuid() == 0 else ("--map-root-user",)
        command = ["unshare", *own, "--mount", "sh", "-ec", ON_A_SMALL_DISK, "sh", space, *command]
    variables = {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)


def read_cell(folder: Path) -> Cell:
    (cell,) = read_run(folder / "out").cells
    return cell


@pytest.mark.parametrize("space", ["100k", "400k"])
def test_a_full_disk_is_said_and_never_a_verdict(space: str, last_broken: Path, tmp_path: Path) -> None:
    full = measure(last_broken, tmp_path, space)
    assert full.returncode == 3
    assert "no space is left on the disk" in full.stderr
    whole = measure(last_broken, tmp_path)
    assert whole.returncode == 1, whole.stderr  # 5.5.4 loads buffers wrong
    cell = read_cell(tmp_path)
    assert cell.complete
    assert {case.verdict for case in cell.cases} == {Verdict.REPORTED, Verdict.PASS}

"""A machine without space: nothing is called a model's fault, and the same command goes on once there is space again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from matrix.process.run import ROOT
from matrix.results.read import read_run
from matrix.verdicts import Verdict

pytestmark = [pytest.mark.chaos, pytest.mark.measured]

ON_A_SMALL_DISK = 'mount -t tmpfs -o size="$1" tmpfs "$TMPDIR"; shift; exec "$@"'
"""A shell script whose temporary folder has so much space, for it and its command alone."""


def build_command(interpreter: Path, folder: Path) -> list[str]:
    command = [sys.executable, "-m", "matrix", "run", "--resume", "--device", "cpu", "--out", str(folder / "out")]
    command += ["--python", str(interpreter), "--architecture", "deepseek_v3:*", "--architecture", "llama:*"]
    return [*command, "--precision", "float32"]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    (temporary := folder / "temporary").mkdir(exist_ok=True)
    variables = {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)


def finish(interpreter: Path, folder: Path) -> None:
    """Measures what is missing, without any limit; every verdict is the usual one."""
    whole = run(build_command(interpreter, folder), folder)
    assert whole.returncode == 1, whole.stderr  # 5.5.4 loads buffers wrong
    (cell,) = read_run(folder / "out").cells
    assert cell.complete
    assert {case.verdict for case in cell.cases} == {Verdict.REPORTED, Verdict.PASS}


@pytest.mark.parametrize("space", ["100k", "400k"])
def test_a_full_disk_is_said_and_never_a_verdict(space: str, last_broken: Path, tmp_path: Path) -> None:
    own = () if os.geteuid() == 0 else ("--map-root-user",)
    small = ["unshare", *own, "--mount", "sh", "-ec", ON_A_SMALL_DISK, "sh", space]
    full = run([*small, *build_command(last_broken, tmp_path)], tmp_path)
    assert full.returncode == 3
    assert "no space is left on the disk" in full.stderr
    finish(last_broken, tmp_path)


def test_too_little_memory_is_said_and_never_a_verdict(last_broken: Path, tmp_path: Path) -> None:
    # deepspeed alone takes 2 GB for a buffer when it initialises an engine.
    short = run(["prlimit", "--as=2500000000", *build_command(last_broken, tmp_path)], tmp_path)
    assert short.returncode == 3
    assert "memory is used up" in short.stderr
    finish(last_broken, tmp_path)


def test_of_two_runs_in_one_folder_one_measures_and_nothing_is_lost(last_broken: Path, tmp_path: Path) -> None:
    command = build_command(last_broken, tmp_path)
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as first:
        assert first.stderr
        assert any("building" in line for line in first.stderr)
        second = run(command, tmp_path)
        first.stderr.read()
    assert (first.returncode, second.returncode) == (1, 2), second.stderr
    assert "another" in second.stderr
    finish(last_broken, tmp_path)

"""Temporary folders: gone with the block, and what a killed process left is gone with the next start."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from matrix.process.run import ROOT
from matrix.process.temporary import KEEP, remove_abandoned_folders, temporary_folder

HOLDER = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from matrix.process.temporary import temporary_folder
with temporary_folder("job") as folder:
    (folder / "big").write_text("x")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def folders(place: Path) -> list[Path]:
    return [path for path in place.iterdir() if path.is_dir()]


def test_a_folder_is_there_for_a_block(place: Path) -> None:
    with temporary_folder("job") as folder:
        (folder / "file").touch()
        assert folders(place) == [folder]
    assert not folders(place)


def test_a_folder_that_is_kept_stays_for_people_to_read(place: Path) -> None:
    with temporary_folder("check") as folder:
        (folder / KEEP).touch()
    remove_abandoned_folders()
    assert folders(place) == [folder]


def test_a_killed_process_leaves_nothing_after_the_next_start(place: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        left = Path(holder.stdout.readline().strip())
        remove_abandoned_folders()
        assert (left / "big").exists()  # while its process lives
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    assert left.exists()
    with temporary_folder("job") as folder:
        assert folders(place) == [folder]


def test_what_is_not_ours_stays(place: Path) -> None:
    (mine := place / "zero3-mine").mkdir()
    (target := place / "target").mkdir()
    (link := place / "zero3-temporary-job-abcdefgh").symlink_to(target)
    remove_abandoned_folders()
    assert mine.exists()
    assert link.is_symlink()
    assert target.exists()


def test_a_folder_that_is_too_deep_for_a_recursion_is_deleted() -> None:
    with temporary_folder("deep") as folder:
        before = Path.cwd()
        os.chdir(folder)
        for _ in range(1500):
            Path("d" * 20).mkdir()
            os.chdir("d" * 20)
        os.chdir(before)
    assert not folder.exists()

"""Temporary folders: gone with the block, and what a killed process left is gone with the next start."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from matrix.process.run import ROOT
from matrix.process.temporary import keep, remove_abandoned_folders, temporary_folder

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
        assert folders(place) == [folder.parent]
    assert not folders(place)


def test_a_folder_that_is_kept_stays_for_people_to_read(place: Path) -> None:
    with temporary_folder("check") as folder:
        (folder / "log").touch()
        keep(folder)
    remove_abandoned_folders()
    assert (folder / "log").exists()
    week_ago = time.time() - 7 * 24 * 3600
    os.utime(folder.parent / "kept", (week_ago, week_ago))
    remove_abandoned_folders()
    assert not folders(place)


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
        assert folders(place) == [folder.parent]


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


HOSTILE = {
    "no rights": "mkdir -p a/b/c; touch a/b/c/x; chmod 0 a/b/c a/b a",
    "only for reading": "mkdir -p a/b; touch a/b/x; chmod 500 a/b a",
    "its own folder": "touch kept x; chmod 0 .",
    "deep and only for reading": "for n in $(seq 300); do mkdir d; cd d; done; chmod -R 500 ../../..",
    "links": "mkdir a; ln -s / a/root; ln -s .. a/up; mkfifo a/pipe",
}


@pytest.mark.parametrize("program", HOSTILE.values(), ids=HOSTILE)
def test_what_untrusted_code_does_to_its_folder_keeps_it_from_nothing(program: str, place: Path) -> None:
    with temporary_folder("job") as folder:
        as_nobody(["sh", "-c", program], folder)
    remove_abandoned_folders()
    assert not folders(place)


def as_nobody(command: list[str], folder: Path) -> None:
    """Runs a command as this user without the rights of root, in `folder`."""
    dropped = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    subprocess.run([*dropped, *command], cwd=folder, check=True)


def test_another_users_folder_is_left_alone(place: Path) -> None:
    (other := place / "zero3-temporary-job-abcdefgh").mkdir(mode=0o000)
    (file := place / "zero3-temporary-file").touch()
    if os.geteuid() == 0:
        os.chown(other, 65534, -1)
    remove_abandoned_folders()
    assert file.exists()
    assert os.geteuid() or other.exists()

"""Verdicts of different code are not the same measurement."""

import os
from pathlib import Path

import pytest

from matrix.measure.fingerprint import compute_probe_hash

OLD = ("matrix/model.py", "matrix/probe/__main__.py", "matrix/probe/ranks/group.py")


def write(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return root


@pytest.mark.parametrize(
    "name", [*OLD, "matrix/job.py", "matrix/verdicts.py", "matrix/check_protocol.py", "matrix/checks/load.py"]
)
def test_whatever_measures_counts(tmp_path: Path, name: str) -> None:
    before = compute_probe_hash(write(tmp_path, *OLD, name))
    (tmp_path / name).write_text("x = 1\n")
    assert compute_probe_hash(tmp_path) != before


def test_what_does_not_measure_does_not(tmp_path: Path) -> None:
    before = compute_probe_hash(write(tmp_path, *OLD))
    assert compute_probe_hash(write(tmp_path, "matrix/text.py", "matrix/probe/hub/README.md")) == before


@pytest.mark.parametrize(
    "name", ["matrix/model.py", "matrix/probe/x.py", "matrix/checks/x.py", "matrix/checks", "matrix/probe/deep"]
)
def test_a_link_of_a_pull_request_is_not_followed(name: str, tmp_path: Path) -> None:
    (link := tmp_path / name).parent.mkdir(parents=True)
    link.symlink_to("/dev/zero" if name.endswith(".py") else "/")
    first = compute_probe_hash(tmp_path)
    link.unlink()
    assert compute_probe_hash(tmp_path) != first


def test_neither_a_pipe_nor_a_file_without_end_is_read(tmp_path: Path) -> None:
    (tmp_path / "matrix/probe").mkdir(parents=True)
    os.mkfifo(tmp_path / "matrix/probe/pipe.py")
    with (tmp_path / "matrix/probe/large.py").open("wb") as large:
        large.truncate(30 << 30)
    assert compute_probe_hash(tmp_path) != compute_probe_hash(tmp_path / "matrix")

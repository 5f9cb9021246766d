"""Pins in ids."""

import os
import shutil
from pathlib import Path

from matrix.environments.pins import label_pin


def test_a_folder_is_known_by_what_its_python_files_hold(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "model.py").write_text("x = 1\n")
    before = label_pin(str(source))
    assert label_pin(str(shutil.copytree(source, tmp_path / "copy"))) == before
    os.utime(source / "model.py", (0, 0))
    assert label_pin(str(source)) == before
    (source / "model.py").write_text("x = 2\n")
    assert label_pin(str(source)) != before


def test_installing_from_a_folder_does_not_change_its_id(tmp_path: Path) -> None:
    before = label_pin(str(tmp_path))
    for left in ("build/lib/a.py", ".venv/b.py", "src/.cache/c.py", "deepspeed/git_version_info_installed.py"):
        (tmp_path / left).parent.mkdir(parents=True)
        (tmp_path / left).write_text("")
    assert label_pin(str(tmp_path)) == before

"""What an interpreter is asked, and the sentence where nothing can be measured with it."""

import json
import sys
import venv
from pathlib import Path

import pytest

from matrix.environments.interpreter import describe
from matrix.errors import EnvironmentFailedError

NAMES = ("torch", "transformers", "deepspeed")


def says(folder: Path, **versions: str) -> Path:
    """A file that is asked like an interpreter with these versions."""
    file = folder / "python"
    file.write_text(f"#!/bin/sh\necho '{json.dumps(versions)}'\n")
    file.chmod(0o755)
    return file


def metadata(folder: Path, name: str, version: str) -> None:
    file = folder / f"{name}-{version}.dist-info" / "METADATA"
    file.parent.mkdir(parents=True)
    file.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        ({"python": "3.9.18"}, "it is Python 3.9.18, and must be 3.10 or newer to be measured: name another with --python"),
        ({"python": "2.7.18"}, "it is Python 2.7.18, and must be 3.10 or newer to be measured: name another with --python"),
        ({"python": "x"}, "it does not report its version"),
        (
            {"python": "3.10.1", "transformers": "5.5.4"},
            ("not installed there: torch, deepspeed. Name the interpreter of your training environment with --python, "
            "or install them there: pip install torch deepspeed"),
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_a_sentence_with_what_to_do(
    tmp_path: Path, versions: dict[str, str], words: str
) -> None:
    with pytest.raises(EnvironmentFailedError) as raised:
        describe(says(tmp_path, **versions))
    assert (raised.value.words, raised.value.exit_code) == (words, 3)


def test_only_what_is_installed_there_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither packages in this folder, nor those of this process's PYTHONPATH."""
    venv.create(tmp_path / "measured", symlinks=True)
    (site,) = (tmp_path / "measured").glob("lib/python*/site-packages")
    for name in NAMES:
        metadata(site, name, "1.0")
        metadata(tmp_path / "here", name, "2.0")
        metadata(tmp_path / "path", name, "3.0")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    found = describe(tmp_path / "measured" / "bin" / "python")
    assert [found[name] for name in NAMES] == ["1.0"] * 3
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))

"""The trial before untrusted code starts finds what a confinement that went wrong permits."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from matrix.process.bubblewrap import build_bubblewrap
from matrix.process.confinement import Confinement
from matrix.process.util_linux import build_full

Build = Callable[[Confinement, Sequence[str]], list[str]]
Spoil = Callable[[list[str], Path], list[str]]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")  # one that no private folder hides
    with TemporaryDirectory(dir="/tmp") as name:
        for folder in ("kept", "own"):
            Path(name, folder).mkdir()
        yield Path(name)


def confine(stage: Path) -> Confinement:
    return Confinement((stage / "own",), (stage / "kept",), root=os.geteuid() == 0)


def bind_writable(command: list[str], path: Path) -> list[str]:
    """Makes bubblewrap's command go wrong: `path` can be written to."""
    at = next(k for k, word in enumerate(command) if word == "--ro-bind" and command[k + 1] == str(path))
    return [*command[:at], "--bind", *command[at + 1 :]]


def name_writable(command: list[str], path: Path) -> list[str]:
    """Makes the plan of `enter` go wrong in the same way."""
    at = next(k for k, word in enumerate(command) if word.startswith('{"folder"'))
    plan = json.loads(command[at])
    return [*command[:at], json.dumps({**plan, "writable": [*plan["writable"], str(path)]}), *command[at + 1 :]]


def start(command: Sequence[str]) -> tuple[str, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout, done.stderr


def require(build: Build) -> None:
    if build is build_bubblewrap and not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")


@pytest.mark.parametrize(("build", "spoil"), [(build_bubblewrap, bind_writable), (build_full, name_writable)])
def test_a_writable_mount_in_a_private_folder_is_found(build: Build, spoil: Spoil, stage: Path) -> None:
    require(build)
    command = build(confine(stage), ["echo", "ran"])
    assert start(command) == ("ran\n", "")
    out, err = start(spoil(command, stage / "kept"))
    assert (out, err) == ("", f"the confinement does not hold: {stage}/kept can be written to\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
@pytest.mark.parametrize("build", [build_bubblewrap, build_full])
def test_a_mount_that_a_private_folder_hides_is_no_alarm(build: Build, stage: Path) -> None:
    require(build)
    mounted = f'mount -t tmpfs tmpfs {stage}; mkdir {stage}/kept {stage}/own; exec "$@"'
    command = ["unshare", "--mount", "sh", "-ec", mounted, "sh", *build(confine(stage), ["echo", "ran"])]
    assert start(command) == ("ran\n", "")

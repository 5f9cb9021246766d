"""What the probe's interpreter can import: its own packages and `matrix`, and nothing that is installed next to that."""

import json
import venv
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from matrix.job import Job
from matrix.measure import probe_process
from matrix.measure.probe_process import Setup, ask, run_job
from matrix.model import Device
from matrix.process.run import find_sandbox

NAMES = ("numpy", "packaging", "pydantic")
MAIN = f"""
import importlib, json
found = {{name: importlib.import_module(name).__file__ for name in {NAMES}}}
"""


def packages(folder: Path) -> Path:
    """A folder of packages, each a module that says nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (folder / f"{name}.py").touch()
    return folder


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """The site-packages of a tool: packages of its own, and a `matrix` whose probe says which packages it imported."""
    site = packages(tmp_path / "tool")
    for module, printed in {
        "matrix.probe.__main__": '{"failure": {"type": "found", "message": json.dumps(found)}}',
        "matrix.probe.discovery.__main__": "found",
    }.items():
        file = (site / module.replace(".", "/")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{MAIN}print(json.dumps({printed}), flush=True)")
    return site


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    """A measured interpreter with packages of the same names."""
    folder = tmp_path / "measured"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    packages(site)
    return folder / "bin" / "python"


def in_measured(found: dict[str, str], tmp_path: Path) -> bool:
    return {*found} == {*NAMES} and all(Path(file).is_relative_to(tmp_path / "measured") for file in found.values())


def run(interpreter: Path, tmp_path: Path, setup: Setup) -> dict[str, str]:
    (said,) = run_job(Job((), (), Device.CPU), interpreter, tmp_path / "log", setup)
    found: dict[str, str] = json.loads(said["failure"].message)
    return found


def test_a_probe_imports_what_is_measured_and_not_what_the_tool_is_installed_with(
    tool: Path, interpreter: Path, tmp_path: Path
) -> None:
    assert in_measured(run(interpreter, tmp_path, Setup(tool)), tmp_path)


def test_so_does_a_confined_probe(tool: Path, interpreter: Path, tmp_path: Path) -> None:
    sandbox = find_sandbox([tool, tmp_path / "measured"])  # it has a /tmp of its own, with these in it
    assert in_measured(run(interpreter, tmp_path, Setup(tool, sandbox)), tmp_path)


def test_so_does_a_probe_that_is_asked(
    tool: Path, interpreter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_process, "OURS", Setup(tool))
    (found,) = ask("scan", {}, interpreter, tmp_path / "log", TypeAdapter(dict[str, str]))
    assert in_measured(found, tmp_path)

"""The built wheel, installed in a fresh environment and used in an empty folder, where nothing of the sources is on a path."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from matrix.environments.install import find_uv
from matrix.environments.pip_config import build_uv_variables
from matrix.process.run import ROOT

pytestmark = pytest.mark.end_to_end
OTHERS = {"packaging": "25.0", "pydantic": "2.11.10"}
"""Versions that the tool is installed with; those of the measured environments are newer."""


def run(*command: str | Path, where: Path, **more: str) -> subprocess.CompletedProcess[str]:
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ZERO3_"))}
    variables = {**build_uv_variables(outer), **more}
    return subprocess.run(command, cwd=where, env=variables, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Tool:
    """An environment that the wheel is installed in."""

    venv: Path

    @property
    def site(self) -> Path:
        (site,) = self.venv.glob("lib/python*/site-packages")
        return site

    @property
    def files(self) -> dict[Path, int]:
        """All files but bytecode, with the time of their last change."""
        found = (file for file in self.venv.rglob("*") if file.is_file() and file.parent.name != "__pycache__")
        return {file: file.stat().st_mtime_ns for file in found}

    def run(self, *arguments: str | Path, where: Path, **more: str) -> subprocess.CompletedProcess[str]:
        return run(self.venv / "bin" / "zero3", *arguments, where=where, **more)


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """The wheel, with other versions than what is measured, and a numpy that cannot be imported."""
    folder = tmp_path_factory.mktemp("tool")
    uv, made = find_uv(), Tool(folder / "venv")
    pins = [f"{name}=={version}" for name, version in OTHERS.items()]
    steps: list[list[str | Path]] = [
        ["build", "--wheel", "--out-dir", folder / "dist", ROOT],
        ["venv", made.venv],
        ["pip", "install", "--python", made.venv / "bin" / "python", folder / "dist" / "zero3_matrix-0.1.0-py3-none-any.whl", *pins],
    ]  # fmt: skip
    for step in steps:
        done = run(uv, *step, where=folder)
        assert done.returncode == 0, done.stderr
    (made.site / "numpy.py").write_text("raise ImportError('this numpy is the tool\\'s own')\n")
    return made


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_a_model_is_checked_in_an_empty_folder_with_nothing_but_its_own_packages(
    tool: Tool, newest: Path, empty: Path, tmp_path: Path
) -> None:
    before, records = tool.files, tmp_path / "records"
    few = ("--check", "load,save", "--device", "cpu")
    done = tool.run("check", "llama", *few, "--python", newest, "--out", records, where=empty)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("SAFE: llama:LlamaForCausalLM, in bf16 and float32: load, save\n")
    (file,) = records.glob("*.jsonl")
    packages = json.loads(file.read_text().splitlines()[0])["environment"]["packages"]
    ask = f"from importlib.metadata import version; print(*map(version, {[*OTHERS]}))"
    theirs = run(newest, "-c", ask, where=empty).stdout.split()
    assert [packages[name] for name in OTHERS] == theirs
    assert theirs != [*OTHERS.values()]
    assert "numpy" in packages
    assert not {"zero3-matrix", "pygithub"} & {name.lower() for name in packages}
    assert (list(empty.iterdir()), tool.files) == ([], before)


def test_results_are_reported_from_the_templates_of_the_wheel(tool: Tool, empty: Path) -> None:
    results = ROOT / "tests" / "data" / "records"
    done = tool.run("report", results, "--out", empty / "out", where=empty)
    assert {file.name for file in (empty / "out").iterdir()} == {"report.html", "report.md"}, done.stderr


def test_an_interpreter_without_torch_is_a_sentence(tool: Tool, empty: Path) -> None:
    done = tool.run("check", "deepseek_v3", "--device", "cpu", where=empty)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 2)
    assert "not installed there: torch, transformers, deepspeed. Name the interpreter" in done.stderr


def test_what_needs_a_checkout_says_so(tool: Tool, empty: Path) -> None:
    done = tool.run("catalog", where=empty)
    assert (done.returncode, list(empty.iterdir())) == (2, [])
    assert done.stderr.endswith("name the file to write with --out\n")


def test_the_commands_and_the_version_are_shown(tool: Tool, empty: Path) -> None:
    assert tool.run("--version", where=empty).stdout == "zero3-matrix 0.1.0\n"
    assert "nightly" in tool.run("--help", where=empty).stdout

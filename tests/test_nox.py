"""The sessions that the noxfile offers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from matrix.environments.choose import load_environments

ROOT = Path(__file__).parents[1]


def nox(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ZERO3_", "NOX"))}
    command = [sys.executable, "-m", "nox", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**own, **variables}, capture_output=True, text=True, check=False)


def sessions(**variables: str) -> dict[str, list[str]]:
    """The tags of every session, the default ones or not."""
    listed = nox("-l", "--json", "-k", "not unknown", **variables)
    assert not listed.returncode, listed.stderr
    return {entry["name"]: entry["tags"] for entry in json.loads(listed.stdout)}


def cell(environment_id: str) -> str:
    return f"zero3_matrix({environment_id})"


def test_there_is_a_session_for_every_environment_tagged_with_its_sets() -> None:
    found = sessions()
    expected = {cell(environment.id): list(environment.sets) for environment in load_environments()}
    assert {name: tags for name, tags in found.items() if "(" in name} == expected
    assert found.keys() >= {"zero3_matrix", "report", "tests", "lint"}


def test_a_pair_named_by_variables_is_one_more_session() -> None:
    found = sessions(ZERO3_TRANSFORMERS="5.12.1", ZERO3_DEEPSPEED="0.17.6")
    assert found.keys() - sessions().keys() == {cell("transformers-5.12.1+deepspeed-0.17.6+torch-2.13.0")}


def test_a_source_folder_named_by_a_variable_is_one_more_session(tmp_path: Path) -> None:
    (new,) = sessions(ZERO3_TRANSFORMERS=str(tmp_path)).keys() - sessions().keys()
    assert new.startswith("zero3_matrix(transformers-local.")


@pytest.mark.parametrize("device", ["", "+cpu", "+cuda"])
def test_any_id_on_the_command_line_is_a_session(device: str) -> None:
    asked = cell(f"transformers-5.13.0+deepspeed-0.17.6+torch-2.12.0{device}")
    listed = nox("-l", "-s", asked)
    assert not listed.returncode, listed.stderr
    assert f"* {asked}" in listed.stdout


def test_an_unknown_id_proposes_close_ones() -> None:
    asked = nox("-s", cell("transformers-5.24"))
    assert asked.returncode == 2
    assert asked.stderr == (
        "error: unknown environment 'transformers-5.24': did you mean transformers-5.24.0+deepspeed-0.19.8+torch-2.13.0, "
        "transformers-5.24.0+deepspeed-0.16.9+torch-2.13.0, transformers-5.24.0+deepspeed-0.15.4+torch-2.13.0?\n"
    )


def test_a_pin_that_is_nothing_is_refused() -> None:
    asked = nox("-s", "zero3_matrix", ZERO3_TRANSFORMERS="main")
    assert (asked.returncode, asked.stderr) == (
        2,
        "error: ZERO3_TRANSFORMERS=main is not a version, a git+https://...@commit address or a source folder\n",
    )


@pytest.mark.parametrize("fails", ["matrix", "bot.dev.planned_year", "neither"])
def test_a_missed_goal_keeps_no_other_benchmark_from_being_measured(tmp_path: Path, fails: str) -> None:
    python, ran = tmp_path / "host" / "bin" / "python", tmp_path / "ran"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "$2 $3" >> {ran}\n[ "$2" != {fails} ]\n')
    python.chmod(0o755)
    measured = nox("-s", "bench", "--no-dependencies", "--envdir", str(tmp_path))
    assert ran.read_text() == "matrix bench\nbot.dev.planned_year \n", measured.stderr
    assert (measured.returncode, f"nothing measured: {fails}" in measured.stderr) == (
        (0, False) if fails == "neither" else (1, True)
    )

"""Asking the probe what there is: the host's side. The probe is a script that says what the test wrote."""

import sys
from pathlib import Path

import pytest

from matrix.discovery.answers import Discovery, FoundClass
from matrix.discovery.build_lock import ask_census, build_questions, discover, pick_environments
from matrix.discovery.merge_versions import LockBuilder
from matrix.environments.spec import Environment
from matrix.errors import BadMessageError, ProbeDiedError

CLASS = {"id": "m:M", "sites": {"Router.bias": "float32"}, "parameters": 3, "config": {}}


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    return tmp_path / "python"


def says(interpreter: Path, body: str) -> None:
    interpreter.write_text(f"#!{sys.executable}\nimport json, sys\nasked = json.load(sys.stdin)\n{body}\n")
    interpreter.chmod(0o755)


def test_what_is_found_comes_back_with_what_no_model_had(interpreter: Path, tmp_path: Path) -> None:
    says(interpreter, f"print(json.dumps({{'class': {CLASS}}}))\nprint(json.dumps({{'unreached': ['A.b']}}))")
    found = discover("5.23.0", interpreter, {}, tmp_path / "log")
    assert found.found == (FoundClass("m:M", {"Router.bias": "float32"}, 3),)
    assert found.unreached == ("A.b",)


def test_a_probe_that_dies_is_told_with_its_last_words(interpreter: Path, tmp_path: Path) -> None:
    says(interpreter, f"print(json.dumps({{'class': {CLASS}}}))\nsys.exit('MemoryError: too much')")
    with pytest.raises(ProbeDiedError, match="MemoryError: too much"):
        discover("5.23.0", interpreter, {}, tmp_path / "log")


def test_what_no_probe_says_is_not_believed(interpreter: Path, tmp_path: Path) -> None:
    says(interpreter, "print(json.dumps({'class': {'id': 3}}))")
    with pytest.raises(BadMessageError):
        discover("5.23.0", interpreter, {}, tmp_path / "log")


def test_a_census_that_leaves_something_out_is_no_census(interpreter: Path, tmp_path: Path) -> None:
    says(interpreter, "sys.exit('Killed')")
    with pytest.raises(ProbeDiedError, match="Killed"):
        ask_census(build_questions((FoundClass("m:M"),), LockBuilder()), interpreter, tmp_path / "log")


def test_an_architecture_is_asked_for_with_what_made_it_tiny_in_a_newer_version(
    interpreter: Path, tmp_path: Path
) -> None:
    says(
        interpreter,
        "for entry in asked['architectures']:\n"
        "    config = {'depth': 1, 'asked': entry['seed'].get('depth', 0)}\n"
        "    print(json.dumps({'id': entry['id'], 'status': 'ok', 'config': config, 'sites': {}}))",
    )
    gathering = LockBuilder()
    for version in ("5.23.0", "5.22.2"):
        gathering.add(
            Discovery(version, ()),
            ask_census(build_questions((FoundClass("m:M"),), gathering), interpreter, tmp_path / "log"),
        )
    assert gathering.architectures["m:M"].configs == {
        "5.23.0": {"depth": 1, "asked": 0},
        "5.22.2": {"depth": 1, "asked": 1},
    }


def test_one_environment_for_each_version_the_newest_first_with_the_newest_deepspeed() -> None:
    pairs = [("5.9.0", "0.19.8"), ("5.15.0", "0.9.0"), ("5.15.0", "0.19.8"), ("5.15.0", "0.2.0")]
    chosen = pick_environments([Environment(transformers, deepspeed, "2.13.0") for transformers, deepspeed in pairs])
    assert [(one.transformers, one.deepspeed) for one in chosen] == [("5.15.0", "0.19.8"), ("5.9.0", "0.19.8")]

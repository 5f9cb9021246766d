"""A new model class with an odd buffer is discovered, made tiny and judged, in real releases of transformers."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from matrix.job import Job
from matrix.model import Architecture, Check, Device, Loader
from matrix.plan import plan
from matrix.runner import ROOT

pytestmark = pytest.mark.measured

MODELS = Path(__file__).parent / "odd_models"
WITH_MODELS = f"""
import runpy, sys, transformers.models
transformers.models.__path__.append({str(MODELS)!r})
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
Found = dict[str, dict[str, str]]
NAMES = ("Flag", "Secret", "Shared", "Nothing", "Parent", "View", "Complex")
IDS = {name: f"odd:Odd{name}Model" for name in NAMES}


def probe(python: Path, module: str, *arguments: str, question: object = None) -> list[dict[str, Any]]:
    """What a module of the probe prints where transformers has one more folder of models."""
    command = [str(python), "-c", WITH_MODELS, module, *arguments]
    done = subprocess.run(command, input=json.dumps(question), stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def found(newest: Path) -> Found:
    """The buffer sites of each odd class, as discovery tells them."""
    told = probe(
        newest, "matrix.probe.answer", "discovery", question={"configs": {}, "processes": 1, "folders": ["odd"]}
    )
    return {entry["class"]["id"]: entry["class"]["sites"] for entry in told if "class" in entry}


Judged = dict[str, dict[str, Any]]


def judge(python: Path, folder: Path) -> Judged:
    """By architecture, the case of the stock loader's load."""
    architectures = tuple(Architecture(name, "other") for name in IDS.values())
    job = Job(architectures, plan(architectures, [Loader.STOCK], [Check.LOAD]), Device.CPU, confirmations=0)
    file = folder / "job.json"
    file.write_text(json.dumps(asdict(job)))
    messages = probe(python, "matrix.probe", str(file))
    return {message["case"]["architecture"]: message["case"] for message in messages if "case" in message}


@pytest.fixture(scope="module")
def fixed(newest: Path, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """What a release with upstream's fix does."""
    return judge(newest, tmp_path_factory.mktemp("newest"))


@pytest.fixture(scope="module")
def broken(last_broken: Path, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """What the last release with the buffers bug does."""
    return judge(last_broken, tmp_path_factory.mktemp("broken"))


def wrong(case: dict[str, Any]) -> dict[str, tuple[str, list[int]]]:
    """Kind and ranks of each wrong tensor."""
    return {finding["tensor"]: (finding["kind"], finding["ranks"]) for finding in case["findings"]}


def test_a_bool_without_dimensions(found: Found, fixed: Judged, broken: Judged) -> None:
    assert found[IDS["Flag"]] == {"OddFlagModel.ready": "bool"}
    assert fixed[IDS["Flag"]]["verdict"] == "pass"
    assert wrong(broken[IDS["Flag"]]) == {"ready": ("init_value", [0, 1])}


def test_a_tensor_that_two_modules_share(found: Found, fixed: Judged, broken: Judged) -> None:
    assert found[IDS["Shared"]] == {"Identity.scale": "float32"}
    assert fixed[IDS["Shared"]]["verdict"] == "pass"
    assert wrong(broken[IDS["Shared"]]) == dict.fromkeys(["first.scale", "second.scale"], ("init_value", [0, 1]))


@pytest.mark.parametrize("name", ["Secret", "View"])
def test_shared_memory_that_upstream_refuses_to_save_is_not_blamed_on_zero3(
    name: str, fixed: Judged, broken: Judged
) -> None:
    for case in (fixed[IDS[name]], broken[IDS[name]]):
        assert case["verdict"] == "baseline_broken"
        assert "shared tensors" in case["error"]["message"]


def test_a_view_of_another_buffer_is_a_site_of_its_own(found: Found) -> None:
    assert found[IDS["View"]] == {"OddViewModel.part": "float32", "OddViewModel.whole": "float32"}


def test_a_buffer_that_is_none(found: Found, fixed: Judged, broken: Judged) -> None:
    assert found[IDS["Nothing"]] == {"OddNothingModel.now": "float32"}
    assert fixed[IDS["Nothing"]]["verdict"] == "pass"
    assert wrong(broken[IDS["Nothing"]]) == {"now": ("init_value", [0, 1])}


def test_a_buffer_that_a_parent_registers(found: Found, fixed: Judged, broken: Judged) -> None:
    assert found[IDS["Parent"]] == {"Linear.scale": "float32"}
    assert fixed[IDS["Parent"]]["verdict"] == "pass"
    assert wrong(broken[IDS["Parent"]]) == {"linear.scale": ("init_value", [1])}


def test_complex_numbers(found: Found, fixed: Judged, broken: Judged) -> None:
    assert found[IDS["Complex"]] == {"OddComplexModel.phase": "complex64"}
    assert "unknown dtype C64" in fixed[IDS["Complex"]]["error"]["message"]
    assert wrong(broken[IDS["Complex"]]) == {"phase": ("init_value", [0, 1])}


def test_a_second_discovery_says_the_same(newest: Path) -> None:
    question = {"configs": {"clap_audio_model": {"enable_fusion": True}}, "processes": 2, "folders": ["odd", "clap"]}
    first, second = (probe(newest, "matrix.probe.answer", "discovery", question=question) for _ in range(2))
    assert first == second
    assert {entry["class"]["id"] for entry in first if "class" in entry} >= {"clap:ClapModel", *IDS.values()}

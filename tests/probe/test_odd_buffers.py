"""A new model class with an odd buffer is discovered, made tiny and judged, in real releases of transformers."""

import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from matrix.catalog.lockfile import format_lock
from matrix.checks import DEFAULT, Axes
from matrix.discovery.answers import CensusAnswer, Discovery, FoundClass
from matrix.discovery.merge_versions import LockBuilder, choose_classes
from matrix.job import Job
from matrix.measure.tasks import plan_tasks
from matrix.model import Architecture, Device, Loader, Precision
from matrix.process.run import ROOT

pytestmark = pytest.mark.measured

MODELS = Path(__file__).parents[1] / "support" / "odd_models"
WITH_MODELS = f"""
import runpy, sys, transformers.models
transformers.models.__path__.append({str(MODELS)!r})
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
Sites = dict[str, dict[str, str]]
NAMES = ("Flag", "Secret", "Shared", "Nothing", "Parent", "View", "Complex", "Index", "Unreadable")
IDS = {name: f"odd:Odd{name}Model" for name in NAMES}


def probe(python: Path, module: str, *arguments: str, question: object = None) -> list[dict[str, Any]]:
    """What a module of the probe prints where transformers has one more folder of models."""
    command = [str(python), "-c", WITH_MODELS, module, *arguments]
    env = {**os.environ, "PYTHONHASHSEED": "0"}  # as `matrix.measure.probe_process.ask` has it
    done = subprocess.run(
        command, input=json.dumps(question), env=env, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def found(newest: Path) -> Sites:
    """The buffer sites of each odd class, as discovery tells them."""
    told = probe(newest, "matrix.probe.discovery", "scan", question={"configs": {}, "processes": 1, "folders": ["odd"]})
    return {entry["class"]["id"]: entry["class"]["sites"] for entry in told if "class" in entry}


Judged = dict[str, dict[str, Any]]


def judge(python: Path, folder: Path) -> Judged:
    """By architecture, the case of the stock loader's load; that of its save by "ARCHITECTURE save"."""
    architectures = tuple(Architecture(name, "other") for name in IDS.values())
    job = Job(
        architectures,
        plan_tasks(architectures, Axes((Loader.STOCK,), precisions=(Precision.FLOAT32,))),
        Device.CPU,
        confirmations=0,
    )
    file = folder / "job.json"
    file.write_text(json.dumps(asdict(job)))
    messages = probe(python, "matrix.probe", str(file))
    cases = [message["case"] for message in messages if "case" in message]
    assert len(cases) == len(architectures) * len(DEFAULT.checks), "each once"
    return {case["architecture"] + (" save" if case["check"] == "save" else ""): case for case in cases}


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


def test_a_bool_without_dimensions(found: Sites, fixed: Judged, broken: Judged) -> None:
    assert found[IDS["Flag"]] == {"OddFlagModel.ready": "bool"}
    assert fixed[IDS["Flag"]]["verdict"] == "pass"
    assert wrong(broken[IDS["Flag"]]) == {"ready": ("init_value", [0, 1])}


def test_a_tensor_that_two_modules_share(found: Sites, fixed: Judged, broken: Judged) -> None:
    assert found[IDS["Shared"]] == {"Identity.scale": "float32"}
    assert fixed[IDS["Shared"]]["verdict"] == "pass"
    assert wrong(broken[IDS["Shared"]]) == dict.fromkeys(["first.scale", "second.scale"], ("init_value", [0, 1]))


@pytest.mark.parametrize(
    ("name", "tensors"), [("Secret", {"first.scale", "second.scale"}), ("View", {"part", "whole"})]
)
def test_shared_memory_that_upstream_refuses_to_save_can_be_loaded(
    name: str, tensors: set[str], fixed: Judged, broken: Judged
) -> None:
    """From torch's own format, as older checkpoints are."""
    assert fixed[IDS[name]]["verdict"] == "pass"
    assert wrong(broken[IDS[name]]) == dict.fromkeys(tensors, ("init_value", [0, 1]))
    for case in (fixed[f"{IDS[name]} save"], broken[f"{IDS[name]} save"]):
        assert case["verdict"] == "baseline_broken"
        assert "shared tensors" in case["error"]["message"]


def test_what_cannot_be_loaded_in_one_process_is_not_blamed_on_zero3(fixed: Judged) -> None:
    for case in (fixed[IDS["Unreadable"]], fixed[f"{IDS['Unreadable']} save"]):
        assert (case["verdict"], case["error"]["message"]) == ("baseline_broken", "nobody can read this")


def test_a_view_of_another_buffer_is_a_site_of_its_own(found: Sites) -> None:
    assert found[IDS["View"]] == {"OddViewModel.part": "float32", "OddViewModel.whole": "float32"}


def test_a_buffer_that_is_none(found: Sites, fixed: Judged, broken: Judged) -> None:
    assert found[IDS["Nothing"]] == {"OddNothingModel.now": "float32"}
    assert fixed[IDS["Nothing"]]["verdict"] == "pass"
    assert wrong(broken[IDS["Nothing"]]) == {"now": ("init_value", [0, 1])}


def test_a_buffer_that_a_parent_registers(found: Sites, fixed: Judged, broken: Judged) -> None:
    assert found[IDS["Parent"]] == {"Linear.scale": "float32"}
    assert fixed[IDS["Parent"]]["verdict"] == "pass"
    assert wrong(broken[IDS["Parent"]]) == {"linear.scale": ("init_value", [1])}


def test_complex_numbers(found: Sites, fixed: Judged, broken: Judged) -> None:
    assert found[IDS["Complex"]] == {"OddComplexModel.phase": "complex64"}
    assert "unknown dtype C64" in fixed[IDS["Complex"]]["error"]["message"]
    assert wrong(broken[IDS["Complex"]]) == {"phase": ("init_value", [0, 1])}


def test_indices_stay_in_the_range_of_what_they_point_into(found: Sites, fixed: Judged, broken: Judged) -> None:
    assert found[IDS["Index"]] == {"OddIndexModel.places": "int64"}
    assert fixed[IDS["Index"]]["verdict"] == "pass"
    assert wrong(broken[IDS["Index"]]) == {"places": ("init_value", [0, 1])}


ALIKE = """
import json, torch
from matrix.probe.checkpoint.sentinels import sentinels
initial = {f"layers.{number}.places": torch.tensor([0, 3, 1, 4, 2]) for number in range(4)}
print(json.dumps([value.tolist() for value in sentinels(initial).values()]))
"""


def test_indices_that_are_alike_in_all_layers_are_told_apart(newest: Path) -> None:
    """Otherwise nobody would see that two were swapped."""
    done = subprocess.run([str(newest), "-c", ALIKE], stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT)
    values = json.loads(done.stdout)
    assert len({tuple(value) for value in values} - {(0, 3, 1, 4, 2)}) == 4
    assert all(sorted(value) == [0, 1, 2, 3, 4] for value in values)


def test_a_configuration_that_takes_apart_what_it_is_given_is_told_the_whole_again(newest: Path) -> None:
    """https://github.com/huggingface/transformers/blob/v5.0.0/src/transformers/models/grounding_dino/configuration_grounding_dino.py"""
    recipe = {"parts": {"kind": "special"}}
    question = {"configs": {"odd_greedy": recipe}, "processes": 1, "folders": ["odd"]}
    told = [entry["class"] for entry in probe(newest, "matrix.probe.discovery", "scan", question=question)[:-1]]
    (found,) = [about for about in told if about["id"] == "odd_greedy:OddGreedyModel"]
    entry = {"id": found["id"], "config": found["config"], "seed": {}}
    (answer,) = probe(newest, "matrix.probe.discovery", "census", question={"architectures": [entry], "processes": 1})
    assert found["config"] == answer["config"] == recipe
    assert found["sites"] == answer["sites"] == {"OddGreedyModel.special": "float32"}
    assert (answer["missing"], answer["broken"]) == ([], "")


_ANSWER = TypeAdapter(CensusAnswer)


def asked(python: Path, processes: int) -> str:
    """The lock of a few folders of models, as the probe's answers make it."""
    question = {"configs": {}, "folders": ["odd", "resnet"]}
    told = probe(python, "matrix.probe.discovery", "scan", question={**question, "processes": processes})
    found = Discovery("5.23.0", tuple(FoundClass(**one["class"]) for one in told[:-1]), tuple(told[-1]["unreached"]))
    entries = [{"id": one.id, "config": one.config, "seed": {}} for one in choose_classes(found, ())]
    census = {"architectures": entries, "processes": processes}
    answers = probe(python, "matrix.probe.discovery", "census", question=census)
    gathering = LockBuilder()
    gathering.add(found, [_ANSWER.validate_json(json.dumps(values), strict=True) for values in answers])
    return format_lock(gathering.lock(""))


def test_a_second_discovery_gives_the_same_lock_byte_for_byte(newest: Path) -> None:
    first, second = (asked(newest, processes) for processes in (1, 2))
    assert first == second
    lock = json.loads(first)
    alike = {IDS["Shared"], IDS["Secret"]}  # one of them is enough
    assert {one["id"] for one in lock["architectures"]} >= {
        "resnet:ResNetForImageClassification",
        *IDS.values(),
    } - alike
    assert lock["versions"]["5.23.0"]["broken"] == {IDS["Unreadable"]: "ValueError: nobody can read this"}

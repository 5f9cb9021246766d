"""The catalog: what is written, what is locked, and what its architectures are in the newest transformers."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from matrix.catalog.catalog import LOCK, PATH, catalog_hash, load_catalog, read_added, read_popular, select_recipes
from matrix.catalog.coverage import select_covering
from matrix.catalog.families import FAMILIES
from matrix.catalog.lock import Lock, LockedArchitecture
from matrix.catalog.lockfile import format_lock, inputs_digest, read_lock
from matrix.discovery.answers import FoundClass
from matrix.discovery.build_lock import ask_census, build_questions
from matrix.discovery.merge_versions import LockBuilder
from matrix.environments.choose import load_environments, select_set
from matrix.errors import DataFileError
from matrix.model import Architecture
from matrix.process.run import ROOT
from matrix.versions import version_key

CATALOG = load_catalog()


def catalog(folder: Path, text: str) -> Path:
    """A catalog file in `folder` with `text` below its first table's heading."""
    path = folder / "catalog.toml"
    path.write_text(f"[architectures]\n{text}", encoding="utf-8")
    return path


def locked(folder: Path, *architectures: LockedArchitecture) -> Path:
    path = folder / "lock.json"
    path.write_text(format_lock(Lock("", {}, architectures)), encoding="utf-8")
    return path


def test_an_entry_is_an_architecture(tmp_path: Path) -> None:
    path = catalog(tmp_path, '"gpt2:GPT2Model" = { family = "control", config = { n_layer = 1 } }')
    assert load_catalog(path, locked(tmp_path)) == (Architecture("gpt2:GPT2Model", "control", {"n_layer": 1}),)


def test_what_is_locked_joins_what_is_written_in_the_order_of_the_families(tmp_path: Path) -> None:
    written = catalog(tmp_path, '"gpt2:GPT2Model" = { family = "control" }')
    lock = locked(tmp_path, LockedArchitecture("m:M", "router", {}, "5.5.4", "5.5.4", {"5.5.4": {"depth": 1}}))
    assert [(one.id, one.config) for one in load_catalog(written, lock)] == [
        ("m:M", {"depth": 1}),
        ("gpt2:GPT2Model", {}),
    ]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    path = catalog(
        tmp_path,
        '"GPT2Model" = { family = "control" }\n'
        '"gpt2:GPT2Model" = { family = "controls", cfg = 1 }\n'
        '"bert:BertModel" = { config = 3 }\n'
        '"t5:T5Model" = "rope"\n'
        "[configs]\nbert = 3\n",
    )
    with pytest.raises(DataFileError, match=r"catalog\.toml") as caught:
        read_added(path)
    lines = str(caught.value).splitlines()
    assert [line.split(": ", 2)[1] for line in lines] == [
        "GPT2Model",
        *["gpt2:GPT2Model"] * 2,
        *["bert:BertModel"] * 2,
        "t5:T5Model",
        "bert",
    ]
    assert "cfg" in lines[1]
    assert "'controls' is none of router" in lines[2]


@pytest.mark.parametrize("model_type", ["", "Bert", "bert-", "-bert", "be rt"])
def test_a_bad_model_type_is_refused(tmp_path: Path, model_type: str) -> None:
    with pytest.raises(DataFileError, match="an id must look like model_type:ClassName"):
        read_added(catalog(tmp_path, f'"{model_type}:BertModel" = {{ family = "control" }}'))


def test_a_duplicate_is_refused(tmp_path: Path) -> None:
    entry = '"gpt2:GPT2Model" = { family = "control" }\n'
    with pytest.raises(DataFileError, match=r"catalog.toml: Cannot overwrite"):
        read_added(catalog(tmp_path, entry + entry))


def test_an_architecture_that_is_in_the_lock_twice_is_refused(tmp_path: Path) -> None:
    one = LockedArchitecture("gpt2:GPT2Model", "other", {}, "5.5.4", "5.5.4")
    (path := tmp_path / "catalog.lock.json").write_text(format_lock(Lock("", {}, (one, one))), encoding="utf-8")
    with pytest.raises(DataFileError, match="gpt2:GPT2Model is there twice"):
        read_lock(path)


@pytest.mark.parametrize("text", ["[models]\na = 1", "architectures = 1", "other = 1\n[architectures]\n"])
def test_a_file_with_other_tables_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataFileError, match=r"expected tables \[architectures\] and \[configs\]"):
        read_added(path)


@pytest.mark.parametrize(
    ("popular", "problem"), [('["t5"]', "a list of ids"), ('"t5:T5Model"', "a list of ids"), ('["a:A", "a:B"]', "once")]
)
def test_popular_ones_are_ids_one_of_each_model_type(tmp_path: Path, popular: str, problem: str) -> None:
    (path := tmp_path / "catalog.toml").write_text(f"popular = {popular}", encoding="utf-8")
    with pytest.raises(DataFileError, match=problem):
        read_popular(path)


def test_every_popular_one_is_in_the_newest_release_and_in_the_lock() -> None:
    lock = read_lock()
    newest = max(lock.versions, key=version_key)
    assert lock.popular == read_popular()
    assert {*lock.popular} <= {*lock.measured(newest)}
    assert lock.checked_popular(newest) == (len(lock.popular),) * 2


def test_the_readme_counts_what_is_measured() -> None:
    every, popular = len(CATALOG), len(read_popular())
    releases = {environment.transformers for environment in select_set("default", load_environments())}
    chosen = {len({*select_covering(read_lock(), release), *read_added()}) for release in releases}
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"all {every} architectures are measured, among them the {popular} that" in text
    assert f"On a CPU {min(chosen)} to {max(chosen)} are measured" in text


@pytest.mark.measured
def test_popular_ones_are_the_classes_that_check_takes(newest: Path) -> None:
    names = [name.partition(":") for name in read_popular()]
    code = "import sys; from matrix.probe.tiny import user_model as u; print(*map(u._usual_class, sys.argv[1:]))"
    command = [str(newest), "-c", code, *(model_type for model_type, _, _ in names)]
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT)
    assert result.stdout.split() == [class_name for _, _, class_name in names]


def test_the_hash_is_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.write_bytes(b"")
    assert catalog_hash(path) == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert catalog_hash() == catalog_hash(PATH, LOCK) != catalog_hash(PATH)


def test_the_catalog_bears_every_family() -> None:
    assert len(CATALOG) >= 150
    assert {architecture.family for architecture in CATALOG} == set(FAMILIES)


def test_an_exception_says_why() -> None:
    bare = [line for line in PATH.read_text(encoding="utf-8").splitlines() if " = {" in line and "family" not in line]
    assert [line for line in bare if "} # " not in line] == []


def test_the_lock_follows_from_what_is_there() -> None:
    """`nox -s catalog` makes it anew."""
    lock, scanned = read_lock(), [one for one in load_environments() if "nightly" in one.sets]
    assert set(lock.versions) == {one.transformers for one in scanned}
    assert lock.inputs == inputs_digest(scanned)


def test_the_lock_is_canonical() -> None:
    assert LOCK.read_text(encoding="utf-8") == format_lock(read_lock())


@pytest.mark.parametrize("version", read_lock().versions)
def test_few_are_not_checked(version: str) -> None:
    """Counted strictly: what even one process cannot load is not checked, though it is measured."""
    checked, discovered = read_lock().checked(version)
    assert checked / discovered >= (0.96 if version in ("5.23.0", "5.24.0") else 0.95)


@pytest.mark.parametrize(
    ("version", "size"), [("4.30.0", 1), ("4.57.6", 1), ("5.6.0", 2), ("5.22.2", 2), ("main", 2), ("", 2)]
)
def test_a_recipe_is_of_the_version_that_is_measured(version: str, size: int) -> None:
    locked = LockedArchitecture("a:B", "other", {}, "4.40.2", "5.23.0", {"4.40.2": {"size": 1}, "5.6.0": {"size": 2}})
    assert locked.config(version) == {"size": size}


def test_recipes_are_those_of_the_version_in_the_order_asked_for() -> None:
    names = [one.id for one in reversed(CATALOG)]
    for version in ("4.40.2", "5.23.0"):
        known = {one.id: one for one in load_catalog(transformers=version)}
        assert select_recipes(version, names) == tuple(known[name] for name in names)


def test_what_is_not_in_the_catalog_has_no_recipe() -> None:
    assert [one.config for one in select_recipes("4.40.2", ["a:B"])] == [{}]


def census(python: Path, *architectures: Architecture) -> list[dict[str, Any]]:
    """What the probe's census says about `architectures` under `python`, sorted by id."""
    command = [str(python), "-m", "matrix.probe.discovery", "census"]
    question = json.dumps({"architectures": [asdict(architecture) for architecture in architectures], "processes": 2})
    result = subprocess.run(command, input=question, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT)
    return [json.loads(line) for line in result.stdout.splitlines()]


SAMPLE = (
    "bart:BartForConditionalGeneration",
    "cvt:CvtForImageClassification",
    "deepseek_v3:DeepseekV3ForCausalLM",
    "detr:DetrForObjectDetection",
    "dots3_note_text:Dots3NoteForCausalLM",
    "gemma4:Gemma4ForConditionalGeneration",
    "mimi:MimiModel",
    "mobilevitv2:MobileViTV2ForImageClassification",
    "step3p7:Step3p7ForConditionalGeneration",
)
"""Some whose rules do, some that are searched for, one that is too large by the rules alone, one that cannot save odd sizes."""


@pytest.fixture(scope="module")
def sample(newest: Path) -> dict[str, dict[str, Any]]:
    """What becomes of a sample of the catalog in the newest environment; the lock says it of all."""
    entries = census(newest, *(one for one in CATALOG if one.id in SAMPLE))
    return {entry["id"]: entry for entry in entries}


@pytest.mark.measured
def test_a_tiny_model_keeps_every_buffer_site(sample: dict[str, dict[str, Any]]) -> None:
    assert sorted(sample) == sorted(SAMPLE)
    assert {entry["id"]: entry["missing"] for entry in sample.values() if entry["missing"] != []} == {}


@pytest.mark.measured
def test_a_tiny_model_is_tiny(sample: dict[str, dict[str, Any]]) -> None:
    assert {entry["id"]: entry["parameters"] for entry in sample.values() if entry["parameters"] > 8_000_000} == {}
    assert sorted(entry["parameters"] for entry in sample.values())[len(sample) // 2] < 500_000


@pytest.mark.measured
def test_some_numels_do_not_divide_between_two_ranks(sample: dict[str, dict[str, Any]]) -> None:
    even = {name for name, entry in sample.items() if not entry["odd_parameters"]}
    lists, conversion = "cvt:CvtForImageClassification", "step3p7:Step3p7ForConditionalGeneration"
    assert even == {lists, conversion}, "sizes in lists are not made odd, nor what a conversion cuts into heads"
    assert sum(any(numel % 2 for numel in entry["buffers"].values()) for entry in sample.values()) >= 4


@pytest.mark.measured
def test_gemma4_has_both_towers(sample: dict[str, dict[str, Any]]) -> None:
    buffers = sample["gemma4:Gemma4ForConditionalGeneration"]["buffers"]
    towers = {name.split(".")[1] for name in buffers if name.endswith("input_max")}
    assert towers == {"vision_tower", "audio_tower"}
    assert {"layer_scalar", "std_bias", "std_scale"} <= {name.rpartition(".")[2] for name in buffers}


@pytest.mark.measured
def test_what_a_release_lacks_is_unsupported_and_the_rest_goes_on(newest: Path) -> None:
    asked = ["bert:BertConfig", "bert:NoSuchModel", "gpt2:GPT2LMHeadModel", "gpt:GPT2LMHeadModel"]
    told = census(newest, *(Architecture(name, "control") for name in asked))
    assert [entry["status"] for entry in told] == ["error", "no_class", "ok", "no_class"]
    assert "has no NoSuchModel" in told[1]["message"]
    assert "GPT2LMHeadModel has the model_type gpt2" in told[3]["message"]


@pytest.mark.measured
def test_a_configuration_that_upstream_refuses_is_an_error(newest: Path) -> None:
    bad = Architecture("bert:BertForMaskedLM", "control", {"hidden_size": 30})
    assert "ValueError" in census(newest, bad)[0]["message"]


@pytest.mark.measured
def test_what_a_default_configuration_fetches_from_a_hub_stands_in_the_repository(
    last_4x: Path, tmp_path: Path
) -> None:
    """https://github.com/huggingface/transformers/blob/v4.57.6/src/transformers/models/edgetam/configuration_edgetam.py"""
    asked = (FoundClass("edgetam:EdgeTamModel"), FoundClass("edgetam_vision_model:EdgeTamVisionModel"))
    answers = ask_census(build_questions(asked, LockBuilder()), last_4x, tmp_path / "log")
    assert [(one.status, one.message, one.broken) for one in answers] == [("ok", "", "")] * 2


def test_what_from_pretrained_wants_beside_the_weights_is_there() -> None:
    """https://github.com/huggingface/transformers/blob/v4.57.6/src/transformers/models/qwen2_5_omni/modeling_qwen2_5_omni.py"""
    lock = read_lock()
    assert "qwen2_5_omni:Qwen2_5OmniForConditionalGeneration" in lock.bearing("4.57.6")
    assert "qwen2_5_omni:Qwen2_5OmniForConditionalGeneration" not in lock.versions["4.57.6"].broken

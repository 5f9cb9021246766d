"""The catalog file, and what its architectures are in the newest transformers."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from matrix.catalog import FAMILIES, PATH, catalog_hash, load_catalog
from matrix.model import Architecture
from matrix.runner import ROOT

CATALOG = load_catalog()


def catalog(folder: Path, text: str) -> Path:
    """A catalog file in `folder` with `text` below its table's heading."""
    path = folder / "catalog.toml"
    path.write_text(f"[architectures]\n{text}", encoding="utf-8")
    return path


def test_an_entry_is_an_architecture(tmp_path: Path) -> None:
    path = catalog(tmp_path, '"gpt2:GPT2Model" = { family = "control", config = { n_layer = 1 } }')
    assert load_catalog(path) == (Architecture("gpt2:GPT2Model", "control", {"n_layer": 1}),)


def test_config_may_be_left_out(tmp_path: Path) -> None:
    assert load_catalog(catalog(tmp_path, '"gpt2:GPT2Model" = { family = "control" }'))[0].config == {}


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    path = catalog(
        tmp_path,
        '"GPT2Model" = { family = "control" }\n'
        '"gpt2:GPT2Model" = { family = "controls", cfg = 1 }\n'
        '"bert:BertModel" = { config = 3 }\n'
        '"t5:T5Model" = "rope"\n',
    )
    with pytest.raises(ValueError, match=r"catalog\.toml") as caught:
        load_catalog(path)
    lines = str(caught.value).splitlines()
    assert [line.split(": ", 2)[1] for line in lines] == [
        "GPT2Model",
        *["gpt2:GPT2Model"] * 2,
        *["bert:BertModel"] * 2,
        "t5:T5Model",
    ]
    assert "cfg" in lines[1]
    assert "'controls' is none of router" in lines[2]


@pytest.mark.parametrize("model_type", ["", "Bert", "bert-", "-bert", "be rt"])
def test_a_bad_model_type_is_refused(tmp_path: Path, model_type: str) -> None:
    with pytest.raises(ValueError, match="an id is written model_type:ClassName"):
        load_catalog(catalog(tmp_path, f'"{model_type}:BertModel" = {{ family = "control" }}'))


def test_a_duplicate_is_refused(tmp_path: Path) -> None:
    entry = '"gpt2:GPT2Model" = { family = "control" }\n'
    with pytest.raises(ValueError, match=r"catalog.toml: Cannot overwrite"):
        load_catalog(catalog(tmp_path, entry + entry))


@pytest.mark.parametrize(
    "text", ["", "[architectures]", "[models]\na = 1", "architectures = 1", "other = 1\n[architectures]\n"]
)
def test_a_file_without_the_table_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"expected one table \[architectures\]"):
        load_catalog(path)


def test_the_hash_is_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.write_bytes(b"")
    assert catalog_hash(path) == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert catalog_hash() != catalog_hash(path)


def test_the_catalog_bears_every_family() -> None:
    assert len(CATALOG) >= 40
    assert {architecture.family for architecture in CATALOG} == set(FAMILIES)


def test_the_catalog_is_sorted_in_families() -> None:
    families = list(FAMILIES)
    assert [a.id for a in CATALOG] == [a.id for a in sorted(CATALOG, key=lambda a: (families.index(a.family), a.id))]


def test_an_entry_with_config_says_why() -> None:
    bare = [
        line for line in PATH.read_text(encoding="utf-8").splitlines() if "config = {" in line and "} # " not in line
    ]
    assert bare == []


def census(python: Path, architectures: tuple[Architecture, ...]) -> list[dict[str, Any]]:
    """What `matrix.probe.census` says about `architectures` under `python`, in their order."""
    command = [str(python), "-m", "matrix.probe.census"]
    entries = json.dumps([asdict(architecture) for architecture in architectures])
    result = subprocess.run(command, input=entries, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT)
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def tiny(newest: Path) -> list[dict[str, Any]]:
    """The census of the whole catalog in the newest environment."""
    return census(newest, CATALOG)


@pytest.mark.measured
def test_every_architecture_builds(tiny: list[dict[str, Any]]) -> None:
    assert [entry["id"] for entry in tiny] == [architecture.id for architecture in CATALOG]
    assert {entry["id"]: entry["message"] for entry in tiny if entry["status"] != "ok"} == {}


@pytest.mark.measured
def test_a_tiny_model_keeps_every_buffer_site(tiny: list[dict[str, Any]]) -> None:
    assert {entry["id"]: entry["missing"] for entry in tiny if entry["missing"] != []} == {}


@pytest.mark.measured
def test_a_tiny_model_is_tiny(tiny: list[dict[str, Any]]) -> None:
    assert {entry["id"]: entry["parameters"] for entry in tiny if entry["parameters"] > 1_000_000} == {}


@pytest.mark.measured
def test_some_numels_do_not_divide_between_two_ranks(tiny: list[dict[str, Any]]) -> None:
    assert sum(entry["odd_parameters"] > 0 for entry in tiny) >= 30
    assert sum(any(numel % 2 for numel in entry["buffers"].values()) for entry in tiny) >= 50


@pytest.mark.measured
def test_gemma4_has_both_towers(tiny: list[dict[str, Any]]) -> None:
    buffers = next(entry["buffers"] for entry in tiny if entry["id"] == "gemma4:Gemma4ForConditionalGeneration")
    towers = {name.split(".")[1] for name in buffers if name.endswith("input_max")}
    assert towers == {"vision_tower", "audio_tower"}
    assert {"layer_scalar", "std_bias", "std_scale"} <= {name.rpartition(".")[2] for name in buffers}


@pytest.mark.measured
def test_what_a_release_lacks_is_unsupported_and_the_rest_goes_on(newest: Path) -> None:
    asked = ["bert:NoSuchModel", "gpt:GPT2LMHeadModel", "bert:BertConfig", "gpt2:GPT2LMHeadModel"]
    told = census(newest, tuple(Architecture(name, "control") for name in asked))
    assert [entry["status"] for entry in told] == ["unsupported", "unsupported", "error", "ok"]
    assert "has no NoSuchModel" in told[0]["message"]
    assert "model_type of GPT2LMHeadModel is gpt2" in told[1]["message"]


@pytest.mark.measured
def test_a_configuration_that_upstream_refuses_is_an_error(newest: Path) -> None:
    bad = Architecture("bert:BertForMaskedLM", "control", {"hidden_size": 30})
    assert "ValueError" in census(newest, (bad,))[0]["message"]

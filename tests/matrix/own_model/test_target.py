"""What `check TARGET` may name, and what is said of everything else; files are read as JSON, nothing is run."""

import json
import re
from pathlib import Path

import pytest

from matrix.catalog.catalog import load_catalog
from matrix.errors import MatrixError
from matrix.model import Source
from matrix.own_model.target import find_catalogued, find_source

CONFIG = {"model_type": "llama", "hidden_size": 64}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return tmp_path


def model(name: str, content: object = CONFIG) -> Path:
    folder = Path(name)
    folder.mkdir()
    (folder / "config.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_a_folder_and_its_file_are_the_same_model() -> None:
    folder = model("my model")
    assert (
        find_source(str(folder)) == find_source(str(folder / "config.json")) == Source(config=CONFIG, label="my_model")
    )


def test_what_json_cannot_hold_is_read_as_transformers_writes_it() -> None:
    folder = model("mine", {**CONFIG, "limits": [0.0, {"__float__": "Infinity"}]})
    assert find_source(str(folder)).config["limits"] == [0.0, float("inf")]


def test_a_folders_code_counts_only_where_it_is_trusted(here: Path) -> None:
    folder = model("mine", {**CONFIG, "auto_map": {"AutoModel": "modeling.Model"}})
    assert find_source(str(folder)).folder == ""
    assert find_source(str(folder), trusted=True).folder == str(here / "mine")


def test_a_class_is_looked_for_where_the_shell_would_find_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/else:where")
    assert find_source("package.module:Class").paths == (str(here), "/else", str(here / "where"))


def test_full_size_is_passed_on() -> None:
    assert find_source("llama", full=True).full
    assert find_source(str(model("mine")), full=True).full


def test_a_catalog_entry_is_named_by_id_or_model_type_but_a_models_folder_goes_first() -> None:
    (bart,) = find_catalogued("bart:BartForConditionalGeneration", load_catalog())
    assert find_catalogued("bart", load_catalog()) == (bart,)
    model("bart")
    assert find_catalogued("bart", load_catalog()) == ()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.json", "{", "is not the configuration of a model: it is not JSON"),
        ("config.json", "[" * 100_000, "it is not JSON"),
        ("config.json", '{"a":' * 700 + "1" + "}" * 700, "it is nested more than 100 deep"),
        ("config.json", '{"a":' * 101 + "1" + "}" * 101, "it is nested more than 100 deep"),
        ("config.json", '{"a":' * 100 + "1" + "}" * 100, "it has no model_type"),
        ("config.json", " " * (4 << 20) + "{}", "it has more than 4 MiB"),
        ("config.json", b"\xff\xfe", "it is not JSON"),
        ("config.json", '{"model_type": {"__float__": "x"}}', "it is not JSON"),
        ("config.json", "[]", "it is JSON, but not an object"),
        ("generation_config.json", '{"max_length": 3}', "it has no model_type"),
        ("config.json", '{"model_type": 3}', "it has no model_type"),
        ("modeling.py", "1/0", "it is a Python module: pass modeling:ClassName"),
        ("pytorch_model.bin", b"\x80\x04.", "is a pickle, and reading one runs the code in it, so it was not read"),
        ("model.pt", b"\x80\x04.", "is a pickle"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(name: str, content: str | bytes, words: str) -> None:
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(MatrixError, match=re.escape(words)) as caught:
        find_source(name)
    assert caught.value.exit_code == 2


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with Path("config.json").open("wb") as file:
        file.truncate(30 << 30)
    with pytest.raises(MatrixError, match="it has more than 4 MiB") as caught:
        find_source("config.json")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("./no/such/folder", "there is no './no/such/folder': pass a folder or file"),
        ("config.json", "there is no 'config.json'"),
        ("folder/config.json", "there is no 'folder/config.json'"),
        ("./model", "there is no './model'"),
        ("../org/model", "there is no '../org/model'"),
        ("org/..", "there is no 'org/..'"),
        ("org/model/", "there is no 'org/model/'"),
        ("two words", "there is no 'two words'"),
        ("a:b:c", "there is no 'a:b:c'"),
        ("", "has no config.json"),
        ("\x1b[31mred", r"there is no '\x1b[31mred'"),
    ],
)
def test_what_is_not_there_is_told_with_what_to_name(target: str, words: str) -> None:
    with pytest.raises(MatrixError, match=re.escape(words)):
        find_source(target)


@pytest.mark.parametrize(
    ("file", "words"),
    [("pytorch_model.bin", "save_pretrained writes one"), ("adapter_config.json", "it has an adapter only")],
)
def test_a_checkpoint_without_a_configuration_is_refused(here: Path, file: str, words: str) -> None:
    (here / "weights").mkdir()
    (here / "weights" / file).touch()
    with pytest.raises(MatrixError, match=rf"weights has no config\.json.*: {words}"):
        find_source("weights")


INDEX = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (
            INDEX,
            "names a file that is not there: model-00002-of-00002.safetensors. The check needs no weights: pass the",
        ),
        ("{", "is not the index of a checkpoint"),
        ('{"weight_map": []}', "is not the index of a checkpoint"),
        ("[" * 100_000, "is not the index of a checkpoint"),
    ],
)
def test_an_index_that_cannot_be_followed_is_told_and_the_configuration_alone_is_not(index: str, words: str) -> None:
    folder = model("mine")
    (folder / "model-00001-of-00002.safetensors").touch()
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(MatrixError, match=re.escape(words)) as caught:
        find_source("mine")
    assert caught.value.exit_code == 2
    assert find_source("mine/config.json").label == "mine"


@pytest.mark.parametrize("there", ["model-00002-of-00002.safetensors", "model.safetensors"])
def test_an_index_whose_files_are_there_or_are_not_taken_is_no_hindrance(there: str) -> None:
    folder = model("mine")
    for name in ("model-00001-of-00002.safetensors", there):
        (folder / name).touch()
    (folder / "model.safetensors.index.json").write_text(INDEX)
    (folder / "pytorch_model.bin.index.json").write_text(INDEX.replace("safetensors", "bin"))
    assert find_source("mine").label == "mine"

"""The names that older releases save: kept small, read again as they were, and known for every version of the catalog."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.catalog.lockfile import read_lock
from matrix.discovery.answers import SavedAnswer
from matrix.discovery.build_names import NamesBuilder
from matrix.saved_names import PATH, SavedNames, UnreadableNamesError, fold, read_names, read_older, unfold

OLD = {"layers.0.w": "float32 3 2", "layers.1.w": "float32 3 2", "head.b": "int64"}
NEW = {"model.layers.0.w": "float32 3 2"}


@given(st.dictionaries(st.tuples(*3 * [st.sampled_from("ab01")]), st.sampled_from(("x", "y"))))
def test_what_is_folded_unfolds_to_the_same(by_parts: dict[tuple[str, ...], str]) -> None:
    tensors = {".".join(parts): spec for parts, spec in by_parts.items()}
    assert unfold(fold(tensors)) == tensors


def test_layers_that_are_alike_are_there_once() -> None:
    assert fold(OLD) == {"head.b": "int64", "layers.0.w,layers.1.w": "float32 3 2"}


def build(*saved: tuple[str, dict[str, str]]) -> str:
    names = NamesBuilder()
    for number, (version, tensors) in enumerate(saved):
        names.add(version, {"m:M": {"depth": number}}, [SavedAnswer("m:M", tensors)])
    return names.format()


def test_a_release_that_saves_the_same_adds_nothing_and_one_that_saves_nothing_neither(tmp_path: Path) -> None:
    file = tmp_path / "saved_names.json"
    file.write_text(build(("4.9.0", OLD), ("4.10.0", {}), ("5.0.0", OLD), ("5.1.0", NEW), ("5.2.0", OLD)))
    assert read_names("m:M", file) == (
        SavedNames("4.9.0", "5.0.0", {"depth": 2}, OLD),
        SavedNames("5.1.0", "5.1.0", {"depth": 3}, NEW),
        SavedNames("5.2.0", "5.2.0", {"depth": 4}, OLD),
    )
    assert read_names("n:N", file) == ()


def test_older_is_what_no_release_from_this_one_on_saves(tmp_path: Path) -> None:
    file = tmp_path / "saved_names.json"
    file.write_text(build(("4.9.0", OLD), ("4.10.0", OLD), ("5.1.0", NEW), ("5.2.0", NEW)))
    older = {version: len(read_older("m:M", version, file)) for version in ("4.9.3", "4.10.0", "4.11.0.dev0", "5.2.0")}
    assert older == {"4.9.3": 0, "4.10.0": 0, "4.11.0.dev0": 1, "5.2.0": 1}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"architectures": []}', '{"architectures": {"m:M": [3]}}', '{"architectures": {"m:M": [{}]}}',
     '{"architectures": {"m:M": [{"first": "1", "last": "1", "recipe": {}, "names": {"a": 3}}]}}'],
)  # fmt: skip
def test_a_list_that_cannot_be_read_is_told(tmp_path: Path, text: str) -> None:
    (file := tmp_path / "saved_names.json").write_text(text)
    with pytest.raises(UnreadableNamesError, match=r"saved_names\.json cannot be read"):
        read_names("m:M", file)


def test_the_list_of_this_checkout_is_small_and_of_the_versions_and_architectures_of_the_catalog() -> None:
    assert PATH.stat().st_size <= 2_000_000
    lock, kept = read_lock(), json.loads(PATH.read_bytes())
    assert set(kept["releases"]) == set(lock.versions), "`nox -s catalog` writes it"
    assert set(kept["architectures"]) <= {one.id for one in lock.architectures}
    assert len(kept["architectures"]) > 0.95 * len(lock.architectures)
    assert all(read_names(name) for name in kept["architectures"])

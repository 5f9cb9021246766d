"""The environments that are crossed, and those that a user names."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.checks import DEFAULT
from matrix.environments.choose import find_environment, load_axes, load_environments, read_named_environment
from matrix.environments.pins import label_pin
from matrix.environments.spec import Environment
from matrix.errors import DataFileError, PinError, UnknownNameError
from matrix.model import Configuration, Precision

KNOWN = load_environments()
NEWEST = KNOWN[0]


def pairs(name: str) -> list[tuple[str, str]]:
    return [(e.transformers, e.deepspeed) for e in KNOWN if name in e.sets]


def ordered(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def named(**pins: str) -> Environment:
    environment = read_named_environment({f"ZERO3_{name.upper()}": pin for name, pin in pins.items()}, KNOWN)
    assert environment
    return environment


def test_the_default_set_is_small_and_holds_the_change_points() -> None:
    newest = max((e.transformers for e in KNOWN), key=ordered), max((e.deepspeed for e in KNOWN), key=ordered)
    last_4x = max((e.transformers for e in KNOWN if e.transformers.startswith("4.")), key=ordered)
    default = pairs("default")
    assert default[0] == newest
    assert {transformers for transformers, _ in default} >= {"5.5.4", "5.6.0", last_4x}
    assert any(ordered(deepspeed) < ordered(newest[1]) for _, deepspeed in default)
    assert len(default) <= 5


def test_the_nightly_set_crosses_at_least_ten_with_five() -> None:
    nightly = pairs("nightly")
    transformers, deepspeed = (sorted(set(versions), key=ordered) for versions in zip(*nightly, strict=True))
    assert len(transformers) >= 10
    assert len(deepspeed) >= 5
    assert (transformers[0], deepspeed[0]) == ("4.40.2", "0.15.4")
    assert set(pairs("default")) <= set(nightly)


def test_ids_are_stable_and_unique() -> None:
    assert NEWEST.id == "transformers-5.24.0+deepspeed-0.19.8+torch-2.13.0"
    assert len({environment.id for environment in KNOWN}) == len(KNOWN)


@pytest.mark.parametrize("device", ["", "+cpu", "+cuda"])
def test_every_known_environment_is_found_by_its_id(device: str) -> None:
    assert [find_environment(environment.id + device, KNOWN) for environment in KNOWN] == list(KNOWN)


versions = st.from_regex(
    r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]((a|b|rc|\.dev|\.post)[0-9])?(\+(cpu|cu[0-9]{3}))?", fullmatch=True
)


@given(st.builds(Environment, versions, versions, versions, versions | st.just("")), st.sampled_from(["", "+cuda"]))
def test_an_id_says_every_version(environment: Environment, device: str) -> None:
    found = find_environment(environment.id + device, KNOWN)
    assert found.requirements[:4] == environment.requirements
    assert found.id == environment.id


def test_what_old_versions_need_comes_with_their_id() -> None:
    oldest = find_environment("transformers-4.40.2+deepspeed-0.19.8+torch-2.12.0", KNOWN)
    assert oldest.python == "<3.13"
    assert "numpy<2" in oldest.requirements


@pytest.mark.parametrize(
    ("asked", "proposed"),
    [
        ("transformers-5.24", "transformers-5.24.0+deepspeed-0.19.8+torch-2.13.0, transformers-5.24.0+"),
        ("5.5.4", "transformers-5.5.4+deepspeed-0.19.8+torch-2.13.0, transformers-5.5.4+"),
        ("transfomers-5.6.0+deepspeed-0.19.8+torch-2.13.0", "transformers-5.6.0+deepspeed-0.19.8+torch-2.13.0"),
        ("transformers-5.6.0+deepspeed-0.19.8+torch-here", "transformers-5.6.0+deepspeed-0.19.8+torch-2.13.0"),
        ("*", NEWEST.id),
    ],
)
def test_an_unknown_id_proposes_close_ones(asked: str, proposed: str) -> None:
    with pytest.raises(UnknownNameError) as raised:
        find_environment(asked, KNOWN)
    assert str(raised.value).startswith(f"unknown environment {asked!r}: did you mean {proposed}")


def test_without_variables_nothing_is_named() -> None:
    assert read_named_environment({"ZERO3_RESULTS": "x", "ZERO3_TORCH": ""}, KNOWN) is None


def test_named_versions_leave_the_rest_as_in_the_newest_pair() -> None:
    environment = named(transformers="5.12.1", torch="2.13.0+cpu", accelerate="1.15.0")
    assert environment.id == "transformers-5.12.1+deepspeed-0.19.8+torch-2.13.0_cpu+accelerate-1.15.0"
    assert environment.requirements[:4] == (
        "torch==2.13.0+cpu", "transformers==5.12.1", "deepspeed==0.19.8", "accelerate==1.15.0"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("git+https://example.org/a/transformers@0123456789abcdef0123456789abcdef01234567", "git.0123456789ab"),
        ("git+https://example.org/a/transformers@main", "git.main"),
        ("git+https://example.org/a/transformers@feature/one", "git.feature-one"),
        ("git+https://example.org/a/transformers@feature/two#egg=transformers", "git.feature-two"),
        ("git+ssh://git@example.org/a/transformers", "git.head"),
    ],
)
def test_an_address_is_installed_as_it_is_and_known_by_its_ref(address: str, expected: str) -> None:
    assert label_pin(address) == expected
    environment = named(transformers=address)
    assert f"transformers @ {address}" in environment.requirements
    assert find_environment(environment.id, (*KNOWN, environment)) is environment


def test_a_folder_is_installed_by_its_full_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path.parent)
    assert str(tmp_path) in named(deepspeed=tmp_path.name).requirements


@pytest.mark.parametrize("pin", ["main", "v5.0", "/no/such/folder"])
def test_a_pin_that_is_nothing_is_refused(pin: str) -> None:
    with pytest.raises(PinError, match=f"ZERO3_DEEPSPEED={pin} is not a version"):
        named(deepspeed=pin)


BAD = """
torch = "2.13.0"
optional = []
[transformers]
"5.0.0" = { why = "" }
"five" = { why = "no number" }
"6.0.0" = "no table"
[deepspeed]
"0.19.8" = { why = "the newest" }
[sets.default]
precisions = ["bf16", "int8"]
pairs = ["5.0.0+0.19.8", "5.1.0+0.19.8"]
[sets.empty]
[exclusions]
"5.0.0+0.18.0" = "typo"
"5.0.0+0.19.8" = ""
"""


def problems(folder: Path, text: str) -> list[str]:
    file = folder / "environments.toml"
    file.write_text(text)
    with pytest.raises(DataFileError) as raised:
        load_environments(file)
    lines = str(raised.value).splitlines()
    assert all(line.startswith(f"{file}: ") for line in lines)
    return [line.removeprefix(f"{file}: ") for line in lines]


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    assert problems(tmp_path, BAD) == [
        "[transformers] '5.0.0' has no `why`",
        "[transformers] 'five' is not a version",
        "[transformers] '6.0.0' has no `why`",
        "[sets.default] names '5.1.0+0.19.8', which is not a transformers+deepspeed pair of this file",
        "[exclusions] names '5.0.0+0.18.0', which is not a transformers+deepspeed pair of this file",
        "[sets.default] 'int8' is not a precision",
        "[sets.empty] has no precisions",
        "[exclusions] '5.0.0+0.19.8' has no reason",
    ]


def test_every_missing_part_is_told_at_once(tmp_path: Path) -> None:
    missing = problems(tmp_path, 'torch = "2.13.0"\noptional = "scipy"\n[sets]\n')
    assert [line.split()[1].strip(",") for line in missing] == ["optional", "transformers", "deepspeed", "exclusions"]


def test_a_file_that_is_no_toml_is_told_with_its_line(tmp_path: Path) -> None:
    assert "line 2" in problems(tmp_path, "\n[transformers\n")[0]


def test_an_excluded_pair_is_in_no_set(tmp_path: Path) -> None:
    file = tmp_path / "environments.toml"
    file.write_text(
        BAD.replace('why = ""', 'why = "x"').replace('"five" =', '"5.1.0" =').replace('"no table"', '{ why = "x" }')
        .replace('"5.0.0+0.18.0" = "typo"', "").replace('8" = ""', '8" = "does not import"')
        .replace(', "int8"', "").replace("[sets.empty]", "")
    )  # fmt: skip
    assert [environment.transformers for environment in load_environments(file)] == ["5.1.0"]


def test_the_default_set_is_measured_in_what_is_measured_where_nothing_is_asked_for() -> None:
    assert load_axes("default") == load_axes("last-broken") == DEFAULT


def test_the_nightly_set_adds_fp16_and_bf16_after_a_load_in_float32() -> None:
    plain = [(precision, Configuration.PLAIN) for precision in Precision]
    assert load_axes("nightly").trainings == (*plain, (Precision.BF16, Configuration.MIXED_DTYPES))


def test_a_set_that_nobody_has_has_no_axes() -> None:
    with pytest.raises(UnknownNameError, match="nightlly"):
        load_axes("nightlly")

"""From what versions have to the lock: what is chosen, what is kept, and why something is not measured."""

from pathlib import Path

import pytest

from matrix.catalog.lock import Lock
from matrix.catalog.lockfile import format_lock, read_lock
from matrix.discovery.answers import CensusAnswer, Discovery, FoundClass
from matrix.discovery.merge_versions import LockBuilder, choose_classes, choose_popular, find_unbuilt, shorten_reason

BIAS, NORM = {"Router.bias": "float32"}, {"BatchNorm1d.running_mean": "float32"}


def discovery(*found: FoundClass, version: str = "5.23.0") -> Discovery:
    return Discovery(version, found)


def answer(name: str, **other: object) -> CensusAnswer:
    return CensusAnswer(**{"id": name, "status": "ok", "sites": BIAS, **other})  # type: ignore[arg-type]


def gathered(*versions: tuple[str, tuple[CensusAnswer, ...]]) -> Lock:
    gathering = LockBuilder()
    for version, answers in versions:
        gathering.add(discovery(version=version), answers)
    return gathering.lock("sha256:0")


def ids(found: tuple[FoundClass, ...]) -> list[str]:
    return [one.id for one in found]


def test_the_common_head_stands_for_all_classes_with_the_same_sites() -> None:
    classes = [FoundClass(f"m:M{ending}", BIAS) for ending in ("Model", "ForCausalLM", "ForTokenClassification")]
    assert ids(choose_classes(discovery(*classes), ())) == ["m:MForCausalLM"]


def test_a_head_that_adds_a_site_is_chosen_and_the_model_under_it_not() -> None:
    head = FoundClass("m:MForSpeech", {**BIAS, **NORM})
    assert ids(choose_classes(discovery(FoundClass("m:MForCausalLM", BIAS), head), ())) == ["m:MForSpeech"]


def test_the_same_site_with_another_dtype_is_another_site() -> None:
    classes = (FoundClass("m:MForCausalLM", BIAS), FoundClass("m:MModel", {"Router.bias": "int64"}))
    assert ids(choose_classes(discovery(*classes), ())) == ["m:MForCausalLM", "m:MModel"]


def test_every_model_type_is_covered_by_itself() -> None:
    assert ids(choose_classes(discovery(FoundClass("a:A", BIAS), FoundClass("b:B", BIAS)), ())) == ["a:A", "b:B"]


def test_what_a_newer_version_chose_is_kept() -> None:
    classes = (FoundClass("m:MForCausalLM", BIAS), FoundClass("m:MModel", BIAS))
    assert ids(choose_classes(discovery(*classes), ("m:MModel",))) == ["m:MModel"]


def test_what_bears_buffers_is_chosen_first_and_what_a_float32_list_names_is_added() -> None:
    classes = (
        FoundClass("m:MForCausalLM", BIAS),
        FoundClass("m:MForSpeech", {}, float32=("Gate.weight", "Norm.weight")),
        FoundClass("m:MModel", {}, float32=("Gate.weight",)),
        FoundClass("t:T", {}, float32=("Linear.weight",)),
        FoundClass("u:U"),
    )
    assert ids(choose_classes(discovery(*classes), ())) == ["m:MForCausalLM", "m:MForSpeech", "t:T"]


def test_a_popular_class_is_asked_about_once_with_what_its_default_configuration_needs() -> None:
    asked = choose_popular(("m:M", "n:N"), (FoundClass("m:M", BIAS),), {"m": {"size": 1}, "n": {"size": 2}})
    assert asked == (FoundClass("n:N", config={"size": 2}),)


def test_a_popular_class_is_in_the_lock_where_a_release_has_it_and_its_family_is_of_what_it_bears() -> None:
    plain, lacking = answer("m:M", sites={}), answer("n:N", status="no_class", message="has no N")
    failed = answer("o:O", status="error", message="KeyError: 1")
    gathering = LockBuilder(("m:M", "n:N", "o:O"))
    gathering.add(discovery(), (plain, lacking, failed))
    gathering.add(discovery(version="5.6.0"), (answer("m:M"), lacking))
    lock = gathering.lock("")
    assert [(one.id, one.family, one.sites) for one in lock.architectures] == [
        ("m:M", "router", {"5.23.0": {}, "5.6.0": BIAS})
    ]
    assert lock.versions["5.23.0"].unchecked == {"o:O": "KeyError: 1"}
    assert [(lock.checked(version), lock.checked_popular(version)) for version in lock.versions] == [
        ((0, 0), (1, 2)),
        ((1, 1), (1, 1)),
    ]


def test_the_lock_has_what_each_release_keeps_in_float32() -> None:
    newer, older = (answer("m:M", float32=kept) for kept in (("Gate.weight",), ()))
    lock = gathered(("5.23.0", (newer,)), ("5.6.0", (newer,)), ("4.57.6", (older,)))
    (one,) = lock.architectures
    assert one.float32 == {"5.6.0": ("Gate.weight",), "4.57.6": ()}
    assert [one.float32_in(version) for version in ("", "5.9.0", "5.5.4")] == [("Gate.weight",), ("Gate.weight",), ()]


@pytest.mark.parametrize(
    ("kept", "family"), [(("DeepseekV2TopkRouter.weight", "Linear.bias"), "router"), (("Linear.weight",), "float32")]
)
def test_without_buffers_the_family_is_that_of_what_stays_in_float32(kept: tuple[str, ...], family: str) -> None:
    (one,) = gathered(("5.23.0", (answer("m:M", sites={}, float32=kept),))).architectures
    assert (one.family, one.sites) == (family, {"5.23.0": {}})


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("ImportError: DinatModel requires the natten library but it was not found", "needs natten"),
        ("ModuleNotFoundError: No module named 'torchaudio'", "needs torchaudio"),
        ("A requires the PIL library. A requires the timm library", "needs PIL and timm"),
        ("OSError: We couldn't connect to 'https://hub' to load", "its default configuration is fetched from a hub"),
        ("TypeError: 'NoneType' object is not subscriptable", "TypeError: 'NoneType' object is not subscriptable"),
    ],
)
def test_the_reason_names_the_package_that_is_missing(error: str, words: str) -> None:
    assert shorten_reason(error) == words


def test_one_class_of_a_model_type_stands_for_all_that_cannot_be_built() -> None:
    failed = discovery(FoundClass("m:MModel", error="KeyError: 1"), FoundClass("m:MForCausalLM", error="KeyError: 2"))
    assert find_unbuilt(failed) == {"m:MForCausalLM": "KeyError: 2"}


def test_a_span_goes_from_the_oldest_to_the_newest_version_with_it() -> None:
    lock = gathered(("5.23.0", ()), ("5.6.0", (answer("m:M"),)), ("4.57.6", (answer("m:M"),)))
    assert [(one.first, one.last) for one in lock.architectures] == [("4.57.6", "5.6.0")]
    assert [lock.bearing(version) for version in lock.versions] == [(), ("m:M",), ("m:M",)]


def test_a_gap_is_absent_unless_it_is_unchecked() -> None:
    lost = answer("n:N", missing=("Router.bias",))
    both = (answer("m:M"), answer("n:N"))
    lock = gathered(("5.23.0", both), ("5.6.0", (lost,)), ("4.57.6", both))
    assert lock.versions["5.6.0"].absent == ("m:M",)
    assert lock.versions["5.6.0"].unchecked == {"n:N": "its tiny model has no Router.bias"}


def test_a_recipe_holds_from_its_version_on() -> None:
    old, new = {"hidden_size": 8}, {"hidden_size": 16}
    lock = gathered(
        ("5.23.0", (answer("m:M", config=new),)),
        ("5.6.0", (answer("m:M", config=new),)),
        ("4.57.6", (answer("m:M", config=old),)),
    )
    told = [lock.architectures[0].config(version) for version in ("", "5.12.1", "5.5.4", "4.57.6", "4.40.2", "git.abc")]
    assert told == [new, new, old, old, old, new]


def test_sites_hold_from_their_version_on() -> None:
    lock = gathered(
        ("5.23.0", (answer("m:M", sites={**BIAS, **NORM}),)),
        ("5.6.0", (answer("m:M", sites=BIAS),)),
        ("4.57.6", (answer("m:M", sites=BIAS),)),
    )
    (one,) = lock.architectures
    assert one.sites == {"5.23.0": {**BIAS, **NORM}, "4.57.6": BIAS}
    assert [one.sites_in(version) for version in ("", "5.6.0", "4.40.2")] == [{**BIAS, **NORM}, BIAS, BIAS]


def test_a_plain_load_that_fails_is_no_check_though_it_is_measured() -> None:
    lock = gathered(("5.23.0", (answer("m:M", broken="KeyError: 1"), answer("n:N"))))
    assert lock.versions["5.23.0"].broken == {"m:M": "KeyError: 1"}
    assert lock.bearing("5.23.0") == ("m:M", "n:N")
    assert lock.checked("5.23.0") == (1, 2)


def test_a_recipe_that_makes_another_model_than_was_discovered_is_not_believed() -> None:
    gathering = LockBuilder()
    gathering.add(
        discovery(FoundClass("m:M", {**BIAS, **NORM}), FoundClass("n:N", BIAS)), (answer("m:M"), answer("n:N"))
    )
    lock = gathering.lock("")
    assert list(lock.versions["5.23.0"].unchecked) == ["m:M"]
    assert "BatchNorm1d.running_mean" in lock.versions["5.23.0"].unchecked["m:M"]
    assert lock.bearing("5.23.0") == ("n:N",)


def test_a_version_that_needs_no_recipe_gets_none_from_an_older_one() -> None:
    lock = gathered(("5.23.0", (answer("m:M"),)), ("4.57.6", (answer("m:M", config={"depth": 1}),)))
    assert [lock.architectures[0].config(version) for version in ("5.23.0", "4.57.6")] == [{}, {"depth": 1}]


def test_a_lock_reads_as_it_was_written_and_writes_the_same_again(tmp_path: Path) -> None:
    lock = gathered(("5.23.0", (answer("m:M", config={"sizes": [1, 2]}), answer("a:A"))))
    file = tmp_path / "lock.json"
    file.write_text(format_lock(lock))
    assert format_lock(read_lock(file)) == format_lock(lock)
    assert [one.id for one in read_lock(file).architectures] == ["a:A", "m:M"]

"""How much of what bears buffers was checked: never more than has a verdict."""

from dataclasses import replace

from matrix.catalog.coverage import compute_coverage, list_borne, select_covering
from matrix.catalog.gaps import LEFT_OUT
from matrix.catalog.lock import Lock, LockedArchitecture, ScannedVersion
from matrix.checks import DEFAULT
from matrix.model import Check, Failure, Precision
from matrix.verdicts import Verdict
from tests.support.runs import case, cell, info

NORM, GATE = {"BatchNorm2d.running_mean": "float32"}, {"Router.bias": "float32"}


def lock(*architectures: LockedArchitecture, **unchecked: str) -> Lock:
    versions = {
        "5.5.4": ScannedVersion({name.replace("_", ":"): why for name, why in unchecked.items()}),
        "4.57.6": ScannedVersion({}),
    }
    return Lock("sha256:0", versions, architectures)


def locked(name: str, sites: dict[str, str], first: str = "5.5.4", last: str = "5.5.4") -> LockedArchitecture:
    return LockedArchitecture(name, "other", {first: sites}, first, last)


TWO = lock(locked("a:A", NORM), locked("b:B", GATE), t_Timm="needs timm")


def test_what_has_a_verdict_is_checked_and_the_rest_says_why() -> None:
    found = compute_coverage(cell(case("a:A", Verdict.CORRUPT)), TWO)
    assert found
    assert (found.checked, found.discovered) == (1, 3)
    assert found.unchecked == {"b:B": LEFT_OUT, "t:Timm": "needs timm"}


def test_buffers_that_no_model_has_are_those_of_the_version() -> None:
    versions = {
        "5.5.4": ScannedVersion({}, unreached=("Codebook.embed",)),
        "4.57.6": ScannedVersion({}, unreached=("Loss.weight",)),
    }
    found = compute_coverage(cell(), Lock("", versions, ()))
    assert found
    assert found.unreached == ("Codebook.embed",)


def test_what_could_not_be_loaded_is_not_checked() -> None:
    broken = Failure("KeyError", "no such layer")
    cases = (case("a:A", Verdict.BASELINE_BROKEN, error=broken), case("b:B", Verdict.UNSUPPORTED))
    found = compute_coverage(cell(*cases), TWO)
    assert found
    assert found.checked == 0
    assert found.unchecked["a:A"] == "baseline_broken: no such layer"
    assert found.unchecked["b:B"] == "unsupported"


def test_values_that_a_plain_load_gets_wrong_too_are_checked_values() -> None:
    found = compute_coverage(cell(case("a:A", Verdict.BASELINE_BROKEN), case("b:B")), TWO)
    assert found
    assert found.checked == 2


def test_a_version_that_nobody_looked_at_has_no_coverage() -> None:
    assert compute_coverage(cell(case("a:A"), environment=info("5.12.1")), TWO) is None


def test_an_architecture_outside_the_catalog_does_not_count() -> None:
    found = compute_coverage(cell(case("a:A"), case("b:B"), case("own:Model")), TWO)
    assert found
    assert (found.checked, found.discovered) == (2, 3)


def test_popular_ones_are_counted_apart() -> None:
    plain = locked("p:P", {})
    found = compute_coverage(
        cell(case("a:A")), replace(lock(locked("a:A", NORM), plain), popular=("a:A", "p:P", "z:Z"))
    )
    assert found
    assert (found.checked, found.discovered, found.popular, found.unchecked) == (1, 1, (1, 2), {"p:P": LEFT_OUT})


def test_a_popular_one_without_anything_new_is_not_selected() -> None:
    assert select_covering(lock(locked("a:A", NORM), locked("p:P", {}))) == ("a:A",)


def test_every_check_and_precision_counts_and_each_gap_has_its_reason() -> None:
    save, refused = Check("save"), Failure("ValueError", "no head")
    cases = (
        case("a:A"),
        case("a:A", check=save),
        case("b:B"),
        case("b:B", Verdict.UNSUPPORTED, check=save, error=refused),
    )
    found = compute_coverage(cell(*cases), TWO)
    assert found
    assert found.cases == (3, 3 * len(DEFAULT.checks) * len(DEFAULT.precisions))
    assert found.partly == {"b:B": {(save, Precision.FLOAT32): "unsupported: no head"}}
    assert (Check("load"), Precision.BF16) in found.left_out
    assert (save, Precision.FLOAT32) not in found.left_out


def test_the_selection_bears_every_site_of_every_version() -> None:
    both = locked("c:CForCausalLM", {**NORM, **GATE})
    old = locked("d:D", GATE, "4.57.6", "4.57.6")
    assert select_covering(lock(locked("a:A", NORM), locked("b:B", GATE), both, old)) == ("c:CForCausalLM", "d:D")


def test_the_selection_bears_a_site_that_only_an_older_version_has() -> None:
    changed = LockedArchitecture("a:A", "other", {"4.57.6": {**NORM, **GATE}, "5.5.4": NORM}, "4.57.6", "5.5.4")
    every = lock(changed, locked("b:BForCausalLM", NORM, "4.57.6"))
    assert select_covering(every) == ("a:A",)
    assert select_covering(every, "5.5.4") == ("b:BForCausalLM",)
    assert select_covering(every, "5.5.3") == ("a:A",)  # not scanned


def test_the_selection_bears_every_module_class_that_a_list_keeps_in_float32() -> None:
    gate, other = {"5.5.4": ("Router.weight",)}, {"5.5.4": ("Router.scale", "Linear.weight")}
    named = LockedArchitecture("b:B", "other", {"5.5.4": NORM}, "5.5.4", "5.5.4", float32=gate)
    more = LockedArchitecture("c:C", "other", {"5.5.4": {}}, "5.5.4", "5.5.4", float32=other)
    assert select_covering(lock(locked("a:AForCausalLM", NORM), named)) == ("b:B",)
    assert select_covering(lock(named, more)) == ("b:B", "c:C")


def test_a_list_of_one_release_only_counts_in_that_release() -> None:
    since = {"4.57.6": (), "5.5.4": ("Router.weight",)}
    named = LockedArchitecture("b:B", "other", {"4.57.6": NORM}, "4.57.6", "5.5.4", float32=since)
    found = [list_borne(lock(named), version)["b:B"] for version in ("4.57.6", "5.5.4")]
    assert found == [{*NORM}, {*NORM, "Router"}]


def test_one_bearer_is_enough_but_only_bf16_shows_what_stays_in_float32() -> None:
    named = LockedArchitecture("b:B", "other", {"5.5.4": NORM}, "5.5.4", "5.5.4", float32={"5.5.4": ("Gate.weight",)})
    every = lock(locked("a:A", {**NORM, **GATE}), named)
    rounded = replace(case("b:B"), precision=Precision.BF16)
    runs = [cell(case("a:A")), cell(case("a:A"), case("b:B")), cell(case("a:A"), rounded)]
    found = [compute_coverage(run, every) for run in runs]
    assert [(one.sites, one.float32) for one in found if one] == [((2, 2), (0, 1)), ((2, 2), (0, 1)), ((2, 2), (1, 1))]


def test_an_absent_architecture_bears_nothing_in_that_version() -> None:
    spanning = locked("a:A", NORM, "4.40.2", "5.23.0")
    gap = Lock("", {"5.5.4": ScannedVersion({}, absent=("a:A",))}, (spanning,))
    assert gap.bearing("5.5.4") == ()

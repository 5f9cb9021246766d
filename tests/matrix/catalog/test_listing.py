"""What `python -m matrix list` shows."""

from dataclasses import replace

from matrix.catalog.listing import VersionSummary, describe_versions, filter_catalog, summarize_versions
from matrix.catalog.lock import Lock, LockedArchitecture, ScannedVersion
from matrix.model import Architecture

BIAS, SCALE = {"Router.bias": "float32"}, {"Router.scale": "float32"}
GATE = LockedArchitecture("a:A", "router", {"5.6.0": BIAS}, "5.6.0", "5.23.0")
NORM = LockedArchitecture("b:B", "batchnorm", {"4.57.6": {"BatchNorm2d.running_mean": "float32"}}, "4.57.6", "5.23.0")
LOCK = Lock(
    "",
    {"5.23.0": ScannedVersion({}), "5.6.0": ScannedVersion({"b:B": "needs timm"}), "4.57.6": ScannedVersion({})},
    (GATE, NORM),
)
CATALOG = [GATE.architecture(), NORM.architecture(), Architecture("bert:BertModel", "control")]


def names(**filters: str) -> list[str]:
    return [one.id for one in filter_catalog(CATALOG, LOCK, **filters)]


def test_without_filters_everything_is_shown_with_its_sites_and_versions() -> None:
    shown = {one.id: (one.family, one.sites, one.first, one.last) for one in filter_catalog(CATALOG, LOCK)}
    assert shown["a:A"] == ("router", {"Router.bias": "float32"}, "5.6.0", "5.23.0")
    assert shown["bert:BertModel"] == ("control", {}, "", "")


def test_sites_are_those_of_the_version_and_of_the_newest_without_one() -> None:
    grown = LockedArchitecture("a:A", "router", {"5.5.4": BIAS, "5.23.0": BIAS | SCALE}, "5.5.4", "5.23.0")
    lock = Lock("", {"5.23.0": ScannedVersion({}), "5.5.4": ScannedVersion({})}, (grown,))
    assert [
        filter_catalog([grown.architecture()], lock, transformers=version)[0].sites for version in ("5.5.4", "")
    ] == [
        BIAS,
        BIAS | SCALE,
    ]


def test_a_family() -> None:
    assert names(family="router") == ["a:A"]


def test_a_glob_of_sites_looks_at_no_letter_case() -> None:
    assert names(site="batchnorm2d.*") == ["b:B"]


def test_a_version_shows_what_can_be_measured_there() -> None:
    assert names(transformers="4.57.6") == ["b:B", "bert:BertModel"]
    assert names(transformers="5.6.0") == ["a:A", "bert:BertModel"]


def test_filters_add_up() -> None:
    assert names(family="router", transformers="4.57.6") == []


def looked(*unreached: str) -> Lock:
    here = ScannedVersion({"t:Timm": "needs timm"}, unreached=unreached, broken={"b:B": "KeyError: 'x'\nline 2"})
    return Lock("", {"5.23.0": here, "5.6.0": ScannedVersion({}), "4.57.6": ScannedVersion({})}, (GATE, NORM))


def test_a_version_says_what_can_be_checked_and_what_cannot_and_why() -> None:
    lock = looked("C.d")
    told = VersionSummary(1, 3, {"t:Timm": "needs timm"}, {"b:B": "KeyError: 'x'\nline 2"}, ("C.d",))
    assert summarize_versions(lock, "5.23.0") == {"5.23.0": told}
    assert list(summarize_versions(lock)) == ["5.23.0", "5.6.0", "4.57.6"]


def test_a_version_says_so_below_the_table_a_line_each() -> None:
    assert list(describe_versions(looked("C.d", "C.e"), "5.23.0")) == [
        "transformers 5.23.0: 1 of 3 architectures can be checked, and 0 of 0 popular ones",
        "not checked: t:Timm: needs timm",
        "a plain load fails: b:B: KeyError: 'x' line 2",
        "2 buffers registered in the sources but found in no model: C.{d, e}",
    ]


def test_popular_ones_are_counted_apart_and_marked_whatever_they_bear() -> None:
    plain = LockedArchitecture("p:P", "popular", {"5.6.0": {}}, "5.6.0", "5.23.0")
    here = ScannedVersion({"q:Q": "needs timm"}, broken={"p:P": "KeyError"})
    lock = Lock("", {"5.23.0": here}, (GATE, plain), ("a:A", "p:P", "q:Q"))
    (told, *_) = describe_versions(lock, "5.23.0")
    assert told == "transformers 5.23.0: 1 of 1 architectures can be checked, and 1 of 3 popular ones"
    shown = filter_catalog([*CATALOG, plain.architecture()], lock, transformers="5.23.0")
    assert [one.id for one in shown if one.popular] == ["a:A", "p:P"]


def test_of_many_buffers_that_no_model_has_the_first_are_named() -> None:
    assert list(describe_versions(looked(*(f"{owner}.b" for owner in "CDEFG")), "5.23.0"))[-1] == (
        "5 buffers registered in the sources but found in no model: C.b, D.b, E.b, ... (--json lists all)"
    )


def test_without_a_version_it_is_said_how_many_there_are_and_whose_sites_are_shown() -> None:
    assert list(describe_versions(replace(LOCK, popular=("a:A", "p:P")))) == [
        "2 architectures with buffers or a float32 list, 2 popular ones, 1 of them among the former",
        "scanned versions of transformers: 5.23.0, 5.6.0, 4.57.6",
        "buffer sites are those of the newest scanned version that has the architecture",
    ]

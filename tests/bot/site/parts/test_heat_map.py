"""What the heat map says: shares, letters and switches."""

from bot.site.pages import heat
from bot.site.parts.heat_map import build_heat_map, count_share
from matrix.checks import DEFAULT
from matrix.model import Check, Device, Failure, Loader
from matrix.verdicts import Verdict
from tests.support.runs import BERT, ROUTER, case, cell
from tests.support.sites import four, pair, site_index, small


def test_a_share_is_of_all_cases_that_the_versions_have() -> None:
    partly = cell(case(BERT), environment=pair("5.6.0"))
    lacking = cell(*four(BERT), *(case(ROUTER, Verdict.UNSUPPORTED, check=check) for check in DEFAULT.checks))
    site = site_index(partly, lacking)
    newest, older = (count_share(site, reading, Loader.STOCK) for reading in site.readings)
    assert (newest.percent, newest.passed, newest.total, newest.untested) == (25, 1, 4, 3)
    assert (older.percent, older.passed, older.total, older.unsupported) == (100, 2, 2, 2)


def test_a_share_is_a_hundred_only_when_all_pass() -> None:
    many = [case(f"m:M{number}") for number in range(999)]
    site = site_index(cell(*many, case(ROUTER, Verdict.CRASH)))
    assert count_share(site, site.readings[0], Loader.STOCK, Check("load")).percent == 99


def test_the_heat_map_has_the_newest_first_and_says_what_was_not_measured() -> None:
    site = site_index(cell(*four(), environment=pair("5.9.0")), cell(*four(), environment=pair("5.10.0", "0.16.9")))
    told = build_heat_map(site, (Device.CPU, Loader.STOCK, None))
    assert [row.transformers for row in told.rows] == ["5.10.0", "5.9.0"]
    assert told.deepspeeds == ("0.19.8", "0.16.9")
    assert [[len(place) for place in row.squares] for row in told.rows] == [[0, 1], [1, 0]]


def test_a_heat_map_explains_the_letters_that_are_in_it_the_worst_first() -> None:
    cells = [
        cell(*four(load=verdict), environment=pair(version))
        for version, verdict in [("5.5.4", Verdict.CRASH), ("5.6.0", Verdict.PASS), ("5.7.0", Verdict.CORRUPT)]
    ]
    failed = cell(planned=4, error=Failure("ResolutionError", "no such version"), environment=pair("9.9.9"))
    told = build_heat_map(site_index(*cells, failed), (Device.CPU, Loader.STOCK, None))
    assert told.verdicts == (Verdict.CORRUPT, Verdict.CRASH, Verdict.ENVIRONMENT, Verdict.PASS)
    saved = build_heat_map(site_index(*cells), (Device.CPU, Loader.STOCK, Check("save")))
    assert saved.verdicts == (Verdict.PASS,)


def test_the_switch_changes_one_thing_and_leaves_the_others() -> None:
    maps = {page.path: page.heat for page in heat.PAGE.pages(small())}
    loaders, checks, _ = maps["heat/cpu-fixed-save.html"].switches
    assert [(position.page, position.on) for position in loaders] == [
        ("heat/cpu-stock-save.html", False),
        ("heat/cpu-fixed-save.html", True),
    ]
    assert {position.page for position in (*loaders, *checks)} <= set(maps)

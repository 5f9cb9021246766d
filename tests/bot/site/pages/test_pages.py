"""What the pages of the site say: their contexts, not the HTML that is made of them."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from bot.render import render_page
from bot.settings import load_settings
from bot.site.page_kinds import NAVIGATION
from bot.site.pages import about, architecture, architectures, cases, environment, heat, start
from bot.site.pages import finding as finding_module
from bot.site.pages.cases import Segment, cut_history
from bot.site.parts.answer_box import build_answers
from bot.site.parts.heat_map import build_heat_map, count_share
from bot.site.parts.version_ranges import find_version_ranges
from bot.text import clip
from matrix.checks import CHECKS
from matrix.history.case_history import NightVerdict
from matrix.history.changes import VerdictChange
from matrix.history.queries import NightlyRun
from matrix.history.snapshot import SHOWN, Snapshot, Stale
from matrix.model import CaseKey, Check, Device, Failure, Loader
from matrix.verdicts import Verdict
from tests.support.runs import BERT, ROUTER, case, cell, finding
from tests.support.sites import four, pair, site_index, small

NIGHT = date(2026, 11, 22)
LOAD = CaseKey(ROUTER, Loader.STOCK, Check("load"))


def test_a_share_is_of_all_cases_that_the_versions_have() -> None:
    partly = cell(case(BERT), environment=pair("5.6.0"))
    lacking = cell(*four(BERT), *(case(ROUTER, Verdict.UNSUPPORTED, check=check) for check in CHECKS))
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


def test_a_version_range_has_the_first_good_and_the_first_bad_version() -> None:
    measured = [
        ("5.3.0", Verdict.CORRUPT),
        ("5.4.0", Verdict.REPORTED),
        ("5.5.4", Verdict.CRASH),
        ("5.6.0", Verdict.PASS),
        ("5.7.0", Verdict.HANG),
    ]
    site = site_index(*(cell(*four(load=verdict), environment=pair(version)) for version, verdict in measured))
    (turn,) = [
        turn
        for turn in find_version_ranges(site, ROUTER)
        if turn.loader is Loader.STOCK and turn.check is Check("load")
    ]
    assert [(span.outcome, span.first, span.last) for span in turn.spans] == [
        ("wrong", "5.3.0", "5.4.0"),
        ("crashes", "5.5.4", "5.5.4"),
        ("right", "5.6.0", "5.6.0"),
        ("hangs", "5.7.0", "5.7.0"),
    ]
    told = "wrong in transformers 5.3.0 to 5.4.0, crashes in 5.5.4, right in 5.6.0, hangs from 5.7.0 on"
    assert str(turn.text) == f"with deepspeed 0.19.8: {told}"


@pytest.mark.parametrize(("verdict", "word"), [(Verdict.FLAKY, "flaky"), (Verdict.NOT_PARTITIONED, "not partitioned")])
def test_what_is_neither_right_nor_wrong_is_called_neither(verdict: Verdict, word: str) -> None:
    measured = {"5.5.4": Verdict.CORRUPT, "5.6.0": verdict, "5.7.0": Verdict.PASS, "5.8.0": verdict}
    site = site_index(*(cell(*four(load=one), environment=pair(version)) for version, one in measured.items()))
    turn = next(
        turn
        for turn in find_version_ranges(site, ROUTER)
        if turn.loader is Loader.STOCK and turn.check is Check("load")
    )
    told = f"wrong in transformers 5.5.4, {word} in 5.6.0, right in 5.7.0, {word} from 5.8.0 on"
    assert str(turn.text) == f"with deepspeed 0.19.8: {told}"
    (page,) = architecture.PAGE.pages(site)
    edges = [place.edge for row in page.grids[0].rows for place in row.places[0]]
    along = "from here along transformers"
    assert edges == [f"load {word} {along}", f"load right {along}", "", ""]


def test_version_ranges_that_are_alike_are_told_once() -> None:
    cells = [
        cell(*four(load=verdict), environment=pair(version, deepspeed))
        for version, verdict in [("5.5.4", Verdict.CORRUPT), ("5.6.0", Verdict.PASS)]
        for deepspeed in ("0.16.9", "0.19.8")
    ]
    told = [str(turn.text) for turn in find_version_ranges(site_index(*cells), ROUTER) if turn.check is Check("load")]
    assert told[0] == "with deepspeed 0.16.9 and 0.19.8: wrong in transformers 5.5.4, right from 5.6.0 on"
    assert len(told) == 2  # the other one is of the fixed loader: along deepspeed nothing turns


def test_what_says_nothing_of_zero3_is_no_side_of_a_version_range() -> None:
    nothing = cell(case(ROUTER, Verdict.UNSUPPORTED), case(ROUTER, Verdict.BASELINE_BROKEN, check=Check("save")))
    assert find_version_ranges(site_index(nothing), ROUTER) == ()


def test_an_architecture_has_its_safe_pairs_and_the_nearest_of_them() -> None:
    verdicts = {"5.4.0": Verdict.CORRUPT, "5.5.4": Verdict.CORRUPT, "5.6.0": Verdict.PASS, "5.7.0": Verdict.PASS}
    site = site_index(*(cell(*four(load=verdict), environment=pair(version)) for version, verdict in verdicts.items()))
    (page,) = architecture.PAGE.pages(site)
    assert [safe.transformers for safe in page.safe] == ["5.7.0", "5.6.0"]
    assert [(one.environment.transformers, one.nearest and one.nearest.transformers) for one in page.advice] == [
        ("5.5.4", "5.6.0"),
        ("5.4.0", "5.6.0"),
    ]


def test_untested_is_not_safe() -> None:
    (page,) = architecture.PAGE.pages(site_index(cell(case(ROUTER))))
    assert page.safe == ()


def test_buffer_sites_are_complete_only_when_they_are_known() -> None:
    told = cell(*four(load=Verdict.CORRUPT))
    (found,), (known,) = (
        architecture.PAGE.pages(site_index(told, sites=sites)) for sites in ({}, {ROUTER: ["A.b", "C.d"]})
    )
    assert (found.sites.complete, found.sites.names) == (False, ("Router.bias",))
    assert (known.sites.complete, known.sites.names) == (True, ("A.b", "C.d"))


def test_the_grid_marks_where_something_turns() -> None:
    page = next(page for page in architecture.PAGE.pages(small()) if page.architecture == ROUTER)
    grid = page.grids[0]
    edges = {row.transformers: place[0].edge for row in grid.rows for place in row.places}
    assert edges == {"9.9.9": "", "5.6.0": "load right from here along transformers", "5.5.4": ""}


def test_an_environment_has_the_worst_first_and_says_where_a_verdict_begins() -> None:
    page = next(page for page in environment.PAGE.pages(small()) if page.environment.transformers == "5.5.4")
    assert [(line.architecture, line.anchor) for line in page.architectures] == [
        (ROUTER, "worst-corrupt"),
        (BERT, "worst-pass"),
    ]
    assert page.architectures[0].cells[0].page.endswith("#stock-load")


def test_an_environment_that_failed_is_untested_and_stale() -> None:
    page = next(page for page in environment.PAGE.pages(small()) if page.environment.transformers == "9.9.9")
    assert page.gap == "could not be measured"
    assert {cell.verdict for line in page.architectures for cell in line.cells} == {None}
    assert len(page.environment.stale) == 1


def test_a_case_has_its_evidence_and_what_the_baseline_says() -> None:
    pages = cases.PAGE.pages(small())
    page = next(one for one in pages if (one.environment.transformers, one.architecture.text) == ("5.5.4", ROUTER))
    load = page.cases[0]
    assert (load.anchor, load.wrong, load.sites[0].site) == ("stock-load", 1, "Router.bias")
    assert load.baseline.startswith("Baseline: the same model loads right in one process")
    assert "--loader stock --check load" in load.command
    assert [failure.page for failure in load.failures] == ["findings/buffers-skipped.html"]
    assert not page.cases[1].failures


def test_each_value_of_a_case_is_in_its_place_and_no_markup() -> None:
    wrong = finding(
        "t<ensor", site="S<ite.bias", expected=("w<ant",), actual=("h<eld",), elements=(1, 8), detail="d<etail"
    )
    error = Failure("T<ype", "m<essage", "f<rame")
    found = case(ROUTER, Verdict.CORRUPT, findings=(wrong,), error=error, confirmed=(2, 3), seconds=4.5)
    (page,) = cases.PAGE.pages(site_index(cell(found)))
    html = render_page(page, page.template, NAVIGATION)
    for place in (
        '<h2 id="stock-load">Stock load ',
        'compared, <b>1 tensor wrong</b>. Measured <time datetime="2026-11-22">2026-11-22</time>.</p>',
        "<b><code>T&lt;ype</code></b>  in <code>f&lt;rame</code><pre>m&lt;essage</pre>",
        "<code>S&lt;ite.bias</code>",
        "<td>t&lt;ensor <small>d&lt;etail</small></td><td>w&lt;ant</td><td>h&lt;eld</td><td>1 of 8</td>",
        *(f'<p>Upstream failure: <a href="../../{one.page}">' for one in page.cases[0].failures),
        "without ZeRO-3. This verdict was seen in 2 of 3 runs, 4.50 s.",
    ):
        assert html.count(place) == 1, place


def test_a_case_page_says_what_was_not_measured() -> None:
    (page,) = cases.PAGE.pages(site_index(cell(case(ROUTER))))
    assert page.untested == ("stock save", "fixed load", "fixed save")


def test_a_strip_is_told_in_runs() -> None:
    verdicts = [Verdict.PASS, Verdict.PASS, None, Verdict.CORRUPT]
    marks = [NightVerdict(NIGHT + timedelta(days=day), verdict, None) for day, verdict in enumerate(verdicts)]
    assert cut_history(marks) == (
        Segment(Verdict.PASS, NIGHT, NIGHT + timedelta(days=1), 2),
        Segment(None, NIGHT + timedelta(days=2), NIGHT + timedelta(days=2), 1),
        Segment(Verdict.CORRUPT, NIGHT + timedelta(days=3), NIGHT + timedelta(days=3), 1),
    )


def test_the_answers_have_every_verdict_and_why() -> None:
    told = build_answers(small())
    at = [one.id for one in told.architectures].index(clip(ROUTER))
    old = next(environment for environment in told.environments if environment.transformers == "5.5.4")
    codes = old.verdicts[4 * at : 4 * at + 4]
    assert [told.verdicts[int(code)].verdict for code in codes] == [Verdict.CORRUPT, *[Verdict.PASS] * 3]
    assert [told.failures[number].page for number in old.why] == ["findings/buffers-skipped.html"]


def test_the_answers_do_not_know_what_is_untested() -> None:
    told = build_answers(small())
    failed = next(environment for environment in told.environments if environment.transformers == "9.9.9")
    assert failed.verdicts == "." * 8


def changed(board: Snapshot, *changes: tuple[Verdict | None, Verdict]) -> Snapshot:
    name = board.readings[0].cell.environment.id
    return replace(board, changes=tuple(VerdictChange(name, LOAD, before, after, NIGHT) for before, after in changes))


def test_changes_for_the_worse_come_first_and_new_cases_last() -> None:
    site = small()
    board = changed(
        site.snapshot, (None, Verdict.CORRUPT), (Verdict.CRASH, Verdict.PASS), (Verdict.PASS, Verdict.CRASH)
    )
    page = start.build(replace(site, snapshot=board))
    assert [(change.before, change.after) for change in page.changes] == [
        (Verdict.PASS, Verdict.CRASH),
        (Verdict.CRASH, Verdict.PASS),
        (None, Verdict.CORRUPT),
    ]


def test_many_changes_that_are_alike_are_one() -> None:
    site = small()
    page = start.build(replace(site, snapshot=changed(site.snapshot, *[(Verdict.PASS, Verdict.CRASH)] * 40)))
    (change,) = page.changes
    assert (len(change.cases), change.more) == (12, 28)


def test_the_start_page_names_the_night_before_where_there_is_one() -> None:
    nights = tuple(NightlyRun(NIGHT + timedelta(days=day), 1, 0, 0, 0) for day in range(3))
    told = [start.build(replace(small(), nights=nights[:number])).before for number in range(4)]
    assert told == [None, None, NIGHT, NIGHT + timedelta(days=1)]


def test_the_start_page_names_what_is_stale() -> None:
    assert [concern.transformers for concern in start.build(small()).concerns] == ["9.9.9"]


def test_a_failure_names_every_place() -> None:
    (page,) = finding_module.PAGE.pages(small())
    assert (page.line.cases, page.line.architectures, page.line.environments) == (1, 1, 1)
    assert page.places[0].cases[0].page.endswith(f"{page.example.page}")


def test_flaky_cases_are_counted_as_false_alarms() -> None:
    page = about.build(site_index(cell(case(ROUTER, Verdict.FLAKY), case(BERT))))
    assert (page.tally.flaky, page.tally.cases, page.tally.retracted) == (1, 2, None)
    assert page.flaky[0].architecture == ROUTER


def test_the_page_about_the_site_says_when_all_is_measured_again_and_what_leaves() -> None:
    html = render_page(about.build(small()), "about", NAVIGATION)
    assert f"within {load_settings().nightly.oldest} days even if nothing did" in html
    assert f"leaves it {SHOWN.days} days after" in html


def test_a_board_without_anything_has_pages_too() -> None:
    site = site_index()
    assert start.build(site).heat is None
    assert architectures.build(site).architectures == ()


def test_why_an_environment_is_stale_is_said_in_words() -> None:
    site = site_index(cell(case(ROUTER)))
    reading = replace(site.readings[0], stale=frozenset(Stale))
    told = replace(site, snapshot=replace(site.snapshot, readings=(reading,)))
    assert len(told.of(reading).stale) == len(Stale)


def test_a_pass_where_others_are_flaky_is_not_called_safe() -> None:
    unsteady = cell(*four(ROUTER), *four(BERT, Verdict.FLAKY))
    (shown,), pages = environment.PAGE.pages(site_index(unsteady)), architecture.PAGE.pages(site_index(unsteady))
    assert (shown.flaky, shown.racy) == (12, True)
    assert not any(page.safe for page in pages)
    assert build_answers(site_index(unsteady)).environments[0].answers == "u???"

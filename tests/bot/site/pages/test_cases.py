"""What the page of cases says: evidence, history, and what was not measured."""

from datetime import date, timedelta

from bot.render import render_page
from bot.site.page_kinds import NAVIGATION
from bot.site.pages import cases
from bot.site.pages.cases import Segment, cut_history
from matrix.history.case_history import NightlyVerdict
from matrix.model import Failure
from matrix.verdicts import Verdict
from tests.support.runs import ROUTER, case, cell, finding
from tests.support.sites import site_index, small

NIGHT = date(2026, 11, 22)


def test_a_case_has_its_evidence_and_what_the_baseline_says() -> None:
    pages = cases.PAGE.pages(small())
    page = next(one for one in pages if (one.environment.transformers, one.architecture.text) == ("5.5.4", ROUTER))
    load = page.cases[0]
    assert (load.anchor, load.wrong, load.sites[0].site) == ("stock-load", 1, "Router.bias")
    assert load.baseline.startswith("Baseline: the same model loads correctly in one process")
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
        '<h2 id="stock-load">Stock load float32 ',
        'compared, <b>1 tensor wrong</b>. Measured on <time datetime="2026-11-22">2026-11-22</time>.</p>',
        "<b><code>T&lt;ype</code></b>  in <code>f&lt;rame</code><pre>m&lt;essage</pre>",
        "<code>S&lt;ite.bias</code>",
        "<td>t&lt;ensor <small>d&lt;etail</small></td><td>w&lt;ant</td><td>h&lt;eld</td><td>1 of 8</td>",
        *(f'<p>Upstream failure: <a href="../../{one.page}">' for one in page.cases[0].failures),
        "without ZeRO-3. This verdict was seen in 2 of 3 runs. It took 4.50 s.",
    ):
        assert html.count(place) == 1, place


def test_a_case_page_says_what_was_not_measured() -> None:
    (page,) = cases.PAGE.pages(site_index(cell(case(ROUTER))))
    assert page.untested == ("stock save float32", "fixed load float32", "fixed save float32")


def test_a_strip_is_told_in_runs() -> None:
    verdicts = [Verdict.PASS, Verdict.PASS, None, Verdict.CORRUPT]
    marks = [NightlyVerdict(NIGHT + timedelta(days=day), verdict, None) for day, verdict in enumerate(verdicts)]
    assert cut_history(marks) == (
        Segment(Verdict.PASS, NIGHT, NIGHT + timedelta(days=1), 2),
        Segment(None, NIGHT + timedelta(days=2), NIGHT + timedelta(days=2), 1),
        Segment(Verdict.CORRUPT, NIGHT + timedelta(days=3), NIGHT + timedelta(days=3), 1),
    )

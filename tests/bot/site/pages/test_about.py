"""What the page about the site says of its own errors."""

from bot.render import render_page
from bot.settings import load_settings
from bot.site.page_kinds import NAVIGATION
from bot.site.pages import about
from matrix.history.snapshot import SHOWN
from matrix.verdicts import Verdict
from tests.support.runs import BERT, ROUTER, case, cell
from tests.support.sites import site_index, small


def test_flaky_cases_are_counted_as_false_alarms() -> None:
    page = about.build(site_index(cell(case(ROUTER, Verdict.FLAKY), case(BERT))))
    assert (page.tally.flaky, page.tally.cases, page.tally.retracted) == (1, 2, None)
    assert page.flaky[0].architecture == ROUTER


def test_the_page_about_the_site_says_when_all_is_measured_again_and_what_leaves() -> None:
    html = render_page(about.build(small()), "about", NAVIGATION)
    assert f"If nothing changed, it is measured again within {load_settings().nightly.oldest} days" in html
    assert f"no longer shows an environment {SHOWN.days} days after" in html

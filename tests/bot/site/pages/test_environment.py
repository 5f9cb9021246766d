"""What the page of an environment says."""

from dataclasses import replace

from bot.site.pages import environment
from matrix.history.snapshot import Stale
from tests.support.runs import BERT, ROUTER, case, cell
from tests.support.sites import site_index, small


def test_an_environment_has_the_worst_first_and_says_where_a_verdict_begins() -> None:
    page = next(page for page in environment.PAGE.pages(small()) if page.environment.transformers == "5.5.4")
    assert [(line.architecture, line.anchor) for line in page.architectures] == [
        (ROUTER, "worst-corrupt"),
        (BERT, "worst-pass"),
    ]
    assert page.architectures[0].columns[0].cells[0].page.endswith("#stock-load")


def test_an_environment_that_failed_is_untested_and_stale() -> None:
    page = next(page for page in environment.PAGE.pages(small()) if page.environment.transformers == "9.9.9")
    assert page.view.gap == "could not be measured"
    assert {cell.verdict for line in page.architectures for cell in line.columns[0].cells} == {None}
    assert len(page.environment.stale) == 1


def test_why_an_environment_is_stale_is_said_in_words() -> None:
    site = site_index(cell(case(ROUTER)))
    reading = replace(site.readings[0], stale=frozenset(Stale))
    told = replace(site, snapshot=replace(site.snapshot, readings=(reading,)))
    assert len(told.of(reading).stale) == len(Stale)

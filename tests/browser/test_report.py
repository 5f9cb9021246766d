"""report.html in a browser: it fits, asks for nothing, can be read by everybody, and its filter filters."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from bot.render import render
from tests.support.browser import DESKTOP, NO_SCRIPT, PHONE, Visitor, axe_findings, sideways
from tests.support.reports import a_report, hostile_report

pytestmark = pytest.mark.browser


@pytest.fixture
def visitor(browser: Browser, tmp_path: Path) -> Iterator[Visitor]:
    for name, report in (("report", a_report()), ("hostile", hostile_report())):
        (tmp_path / f"{name}.html").write_text(render("report.html", report), encoding="utf-8")
    visitor = Visitor(browser, f"{tmp_path.as_uri()}/")
    yield visitor
    visitor.close()
    assert not visitor.troubles


@pytest.mark.parametrize("name", ["report.html", "hostile.html"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("options", [{}, NO_SCRIPT], ids=["with JavaScript", "without"])
def test_the_report_fits(visitor: Visitor, name: str, size: ViewportSize, options: dict[str, Any]) -> None:
    page = visitor.open(name, viewport=size, **options)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert not sideways(page)


@pytest.mark.parametrize("name", ["report.html", "hostile.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_report(visitor: Visitor, name: str, scheme: str) -> None:
    assert not axe_findings(visitor.open(name, color_scheme=scheme, bypass_csp=True))


def test_the_reports_filter_leaves_what_matches(visitor: Visitor) -> None:
    page = visitor.open("report.html")
    page.get_by_label("Architecture or family").fill("ROUTER")
    expect(page.get_by_text("1 of 2 architectures")).to_be_visible()
    expect(page.locator(".heat .row:visible")).to_have_count(1)
    page.get_by_label("Verdict").select_option("pass")
    expect(page.get_by_text("0 of 2 architectures")).to_be_visible()


def test_a_square_of_the_report_opens_its_evidence(visitor: Visitor) -> None:
    page = visitor.open("report.html")
    page.locator(".heat a.v-corrupt").first.click()
    expect(page.locator(":target")).to_be_in_viewport()

"""Every kind of page of the dashboard in a browser: quiet, on its own site, fitting, and readable by everybody."""

from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, expect

from bot.dev.screenshots import SHOTS, take_screenshots
from bot.site.page_kinds import PAGE_KINDS
from tests.support.browser import DESKTOP, NO_SCRIPT, PHONE, Visitor, axe_findings, sideways
from tests.support.sites import hostile, paths_of, publish_quietly

pytestmark = pytest.mark.browser

WAYS = {"served": ("served", {}), "without JavaScript": ("served", NO_SCRIPT), "from its folder": ("folder", {})}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def worst(site: Path, kind: str) -> str:
    """The largest page of a kind: what fits there, and is in order there, is so on the others."""
    pages = sorted(paths_of(site, kind), key=lambda path: (path.stat().st_size, path))
    return pages[-1].relative_to(site).as_posix()


@pytest.mark.parametrize("kind", PAGE_KINDS)
@pytest.mark.parametrize(("visitor", "options"), WAYS.values(), indirect=["visitor"], ids=WAYS)
def test_a_page_fits_and_is_quiet(visitor: Visitor, site: Path, kind: str, options: dict[str, Any]) -> None:
    page = visitor.open(worst(site, kind), viewport=PHONE, **options)
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            expect(page.get_by_role("heading", level=1)).to_be_in_viewport()
            assert not sideways(page), (size, scheme)


@pytest.mark.parametrize("kind", PAGE_KINDS)
def test_axe_finds_nothing_serious(visitor: Visitor, site: Path, kind: str) -> None:
    page = visitor.open(worst(site, kind), bypass_csp=True)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert not axe_findings(page), scheme


def test_old_data_says_so_on_every_page_and_fits(visitor: Visitor, site: Path) -> None:
    for kind in PAGE_KINDS:
        page = visitor.open(worst(site, kind), day="2026-12-05", viewport=PHONE)
        expect(page.get_by_text("The newest data on this site is 10 days old")).to_be_visible()
        assert not sideways(page), kind


def test_hostile_text_does_nothing_and_fits(browser: Browser, tmp_path: Path) -> None:
    publish_quietly(hostile(), tmp_path)
    visitor = Visitor(browser, f"{tmp_path.as_uri()}/")
    for path in tmp_path.rglob("*.html"):
        page = visitor.open(path.as_uri(), viewport=PHONE)
        assert not sideways(page), path
        page.context.close()
    assert not visitor.troubles


def test_the_pictures_of_the_readme_are_small_and_of_the_size_asked_for(
    browser: Browser, site: Path, tmp_path: Path
) -> None:
    paths = list(take_screenshots(browser, site, tmp_path))
    assert [path.name for path in paths] == list(SHOTS)
    for path, window in zip(paths, SHOTS.values(), strict=True):
        picture = path.read_bytes()
        assert [int.from_bytes(picture[at : at + 4]) for at in (16, 20)] == [window.width, window.height]
        assert len(picture) < 200_000

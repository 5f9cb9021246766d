"""The machine's browser, and somebody who looks at pages with it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from bot.dev.browser import NoBrowserError, find_chromium, start_browser
from tests.support.browser import Visitor, served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's Chromium. For one module, as its event loop would stand in the way of others'."""
    try:
        program = find_chromium(os.environ)
    except NoBrowserError as missing:
        stop = pytest.fail if os.environ.get("CI") else pytest.skip
        stop(str(missing))
    with start_browser(program) as started:
        yield started


@pytest.fixture(scope="session")
def site_address(site: Path) -> Iterator[str]:
    """Where the dashboard is served, below a path as on Pages."""
    with served(site) as address:
        yield address


@pytest.fixture
def visitor(request: pytest.FixtureRequest, browser: Browser, site: Path, site_address: str) -> Iterator[Visitor]:
    """Somebody on the dashboard: `served`, or with the parameter `folder` on its files. No page may do what it should not."""
    folder = getattr(request, "param", "served") == "folder"
    visitor = Visitor(browser, f"{site.as_uri()}/" if folder else site_address)
    yield visitor
    visitor.close()
    assert not visitor.troubles

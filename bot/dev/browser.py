"""The only door to a browser: Playwright drives the Chromium of the machine. Both are needed for pictures and tests only."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

from playwright.sync_api import Browser, ViewportSize, sync_playwright

from matrix.errors import INFRASTRUCTURE, MatrixError

__all__ = ["Browser", "NoBrowserError", "Window", "find_chromium", "start_browser", "take_picture"]

VARIABLE: Final = "ZERO3_CHROMIUM"
NAMES: Final = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser")
"""Chrome first: on Ubuntu, Chromium is a snap, which does not see the files in /tmp."""
FLAGS: Final = (
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # whatever a page asks for, nothing leaves the machine
)


class NoBrowserError(MatrixError):
    """No Chromium on this machine, or none where the variable says."""

    exit_code = INFRASTRUCTURE

    def __init__(self, tried: tuple[str, ...]) -> None:
        super().__init__(
            f"no Chromium found as {', '.join(tried)}: install one (on Debian `apt-get install chromium`, "
            f"on Ubuntu Google Chrome), or set {VARIABLE} to its path"
        )


@dataclass(frozen=True)
class Window:
    """How a page is looked at; sizes in CSS pixels."""

    width: int
    height: int
    scheme: Literal["light", "dark"] = "light"


def find_chromium(variables: Mapping[str, str]) -> str:
    """Returns the path of the Chromium or Chrome to use: what ZERO3_CHROMIUM names, else a usual name. Raises NoBrowserError."""
    named = variables.get(VARIABLE)
    tried = (named,) if named else NAMES
    found = next(filter(None, map(shutil.which, tried)), None)
    if not found:
        raise NoBrowserError(tried)
    return found


@contextmanager
def start_browser(program: str) -> Iterator[Browser]:
    """Runs `program` as a headless browser until the block ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def take_picture(browser: Browser, address: str, window: Window, day: str) -> bytes:
    """Takes a PNG of what `window` shows of the page at `address` on that day (YYYY-MM-DD), one pixel per CSS pixel."""
    size: ViewportSize = {"width": window.width, "height": window.height}
    context = browser.new_context(viewport=size, color_scheme=window.scheme, reduced_motion="reduce")
    page = context.new_page()
    page.clock.set_fixed_time(day)
    page.goto(address)
    png = page.screenshot(animations="disabled")
    context.close()
    return png

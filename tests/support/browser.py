"""Pages as somebody sees them: a real browser, and everything that a page should not have done."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Response,
    ViewportSize,
    expect,
)

from tests.support.node_tools import installed

PHONE: ViewportSize = {"width": 360, "height": 740}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
NIGHT = "2026-11-25"
"""That of the records in tests/data: pages are looked at on that day, unless a test says another."""
NO_SCRIPT: dict[str, Any] = {"java_script_enabled": False}
NODE = Path(__file__).parent / "node"
PATIENCE = 20_000
expect.set_options(timeout=PATIENCE)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the standard library
        """Say nothing: a failed request is a trouble of the page that made it."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder over HTTP, below a path as a project's site on Pages is; its address."""
    handler = functools.partial(Quiet, directory=str(folder.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{folder.name}/"
        server.shutdown()
        thread.join()


class Visitor:
    """Opens pages of one site; `troubles` are errors, dialogs, failed requests, and requests that leave the site."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser, self.address = browser, address
        self.troubles: list[str] = []
        self.contexts: list[BrowserContext] = []

    def open(self, path: str, day: str = NIGHT, **options: Any) -> Page:
        """A new tab, with nothing remembered, on the page at `path`; options as Playwright's `new_context` has them."""
        options = {"viewport": DESKTOP, "base_url": self.address, "reduced_motion": "reduce", **options}
        context = self.browser.new_context(**options)
        context.set_default_timeout(PATIENCE)
        self.contexts.append(context)
        page = context.new_page()
        page.clock.set_fixed_time(day)
        self._listen(page)
        page.goto(path)
        return page

    def close(self) -> None:
        for context in self.contexts:
            context.close()

    def _listen(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.troubles.append(f"{page.url}: {error}"))
        page.on("request", self._request)
        page.on("requestfailed", lambda request: self.troubles.append(f"failed: {request.url}: {request.failure}"))
        page.on("response", self._response)
        page.on("dialog", self._dialog)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.troubles.append(f"{message.location}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith(self.address):
            self.troubles.append(f"leaves the site: {request.url}")

    def _dialog(self, dialog: Dialog) -> None:
        self.troubles.append(f"{dialog.page and dialog.page.url}: a dialog that says {dialog.message}")
        dialog.dismiss()

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.troubles.append(f"{response.status}: {response.url}")


def sideways(page: Page) -> list[str]:
    """What makes the whole page scroll sideways; a wide table in a frame of its own does not."""
    found: list[str] = page.evaluate(
        """() => document.scrollingElement.scrollWidth <= innerWidth ? [] :
          [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth)
            .map((e) => e.outerHTML.slice(0, 120))"""
    )
    return found


@functools.cache
def _axe() -> str:
    return (installed(NODE) / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def axe_findings(page: Page) -> list[str]:
    """What axe calls serious or critical. `page` must have been opened with `bypass_csp`, as the policy stops axe too."""
    page.evaluate(_axe())
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    grave = [v for v in found["violations"] if v["impact"] in {"serious", "critical"}]
    return [f"{v['id']}: {node['html'][:120]}: {node['failureSummary']}" for v in grave for node in v["nodes"][:5]]

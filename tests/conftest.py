"""Measured environments for tests: real installations, made once and kept in .zero3/venvs. And the machine's browser."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from playwright.sync_api import Browser

from bot.dev.browser import NoBrowserError, find_chromium, start_browser
from matrix.environments.choose import load_environments
from matrix.environments.install import install
from matrix.process.run import ROOT
from tests.support.browser import Visitor, served

# How long one example takes depends on what else the machine does, so no test fails for that.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# What a shell starts in the background ignores Ctrl-C, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _interpreter(transformers: str) -> Path:
    environment = next(e for e in load_environments() if (e.transformers, e.deepspeed) == (transformers, "0.19.8"))
    return install(environment, ROOT / ".zero3" / "venvs" / environment.id)


@pytest.fixture(scope="session")
def newest() -> Path:
    """The interpreter of an environment with transformers 5.23.0."""
    return _interpreter("5.23.0")


@pytest.fixture(scope="session")
def last_broken() -> Path:
    """The interpreter of an environment with transformers 5.5.4, the last release with the buffers bug."""
    return _interpreter("5.5.4")


@pytest.fixture(scope="session")
def last_4x() -> Path:
    """The interpreter of an environment with transformers 4.57.6."""
    return _interpreter("4.57.6")


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
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the dashboard, made by its command from the real records in tests/data."""
    place = tmp_path_factory.mktemp("site")
    history, out = place / "history", place / "zero3-matrix"
    shutil.copytree(ROOT / "tests" / "data" / "site" / "history", history)
    command = [sys.executable, "-m", "bot", "dashboard", "--history", str(history), "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return out


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

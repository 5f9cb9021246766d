"""Measured environments for tests: real installations, made once and kept in .zero3/venvs. And the machine's browser."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from bot.browser import NoBrowserError, browsing, chromium
from matrix import runner
from matrix.environments import load_environments


def _interpreter(transformers: str) -> Path:
    environment = next(e for e in load_environments() if (e.transformers, e.deepspeed) == (transformers, "0.19.8"))
    return runner.install(environment, runner.ROOT / ".zero3" / "venvs" / environment.id)


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
        program = chromium(os.environ)
    except NoBrowserError as missing:
        stop = pytest.fail if os.environ.get("CI") else pytest.skip
        stop(str(missing))
    with browsing(program) as started:
        yield started

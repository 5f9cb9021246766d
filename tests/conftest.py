"""What the tests of several folders need, and in which order they run. Several processes may run them side by side.

Measured environments are real installations, made once and kept in .zero3/venvs.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from matrix.environments.choose import load_environments
from matrix.environments.install import install
from matrix.process.run import ROOT

# How long one example takes depends on what else the machine does, so no test fails for that.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# What a shell starts in the background ignores Ctrl-C, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST_FIRST = ("end_to_end", "measured", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest kinds of tests first: one that begins last would keep a single process at work."""
    items.sort(key=lambda item: next((at for at, kind in enumerate(LONGEST_FIRST) if item.get_closest_marker(kind)), 9))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=60, help="How many of the seeded kills the chaos tests make.")


def _interpreter(transformers: str, deepspeed: str = "0.19.8") -> Path:
    environment = next(e for e in load_environments() if (e.transformers, e.deepspeed) == (transformers, deepspeed))
    venv = ROOT / ".zero3" / "venvs" / environment.id
    venv.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{venv}.lock"):
        return install(environment, venv)


@pytest.fixture(scope="session")
def newest() -> Path:
    """The interpreter of an environment with the newest transformers."""
    return _interpreter(load_environments()[0].transformers)


@pytest.fixture(scope="session")
def last_broken() -> Path:
    """The interpreter of an environment with transformers 5.5.4, the last release with the buffers bug."""
    return _interpreter("5.5.4")


@pytest.fixture(scope="session")
def last_4x() -> Path:
    """The interpreter of an environment with transformers 4.57.6."""
    return _interpreter("4.57.6")


@pytest.fixture(scope="session")
def older_deepspeed() -> Path:
    """The interpreter of an environment with the newest transformers and deepspeed 0.16.9."""
    return _interpreter(load_environments()[0].transformers, "0.16.9")


@pytest.fixture(scope="session")
def oldest() -> Path:
    """The interpreter of an environment with transformers 4.40.2 and deepspeed 0.15.4."""
    return _interpreter("4.40.2", "0.15.4")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the dashboard, made by its command from the real records in tests/data. Nobody may change it."""
    own = tmp_path_factory.getbasetemp()
    place = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "site"
    with FileLock(f"{place}.lock"):
        if not place.exists():
            _make_site(made := tmp_path_factory.mktemp("site-made"))
            made.rename(place)
    return place / "zero3-matrix"


def _make_site(folder: Path) -> None:
    history, out = folder / "history", folder / "zero3-matrix"
    shutil.copytree(ROOT / "tests" / "data" / "site" / "history", history)
    command = [sys.executable, "-m", "bot", "dashboard", "--history", str(history), "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

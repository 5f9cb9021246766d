"""Whatever is killed, however and whenever: nothing runs on, nothing is lost, no verdict is wrong.

Each test measures two models, kills something at a moment that its seed decides, and measures the rest with --resume.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from matrix.environments.choose import load_environments, select_set
from matrix.model import CaseKey
from matrix.process.run import ROOT
from matrix.results.read import read_run
from matrix.verdicts import Verdict
from tests.support.processes.endings import happens_within
from tests.support.processes.tree import MARK, find_marked, kill_marked, sort_by_role

pytestmark = [pytest.mark.chaos, pytest.mark.measured, pytest.mark.xdist_group("chaos")]

ROLES = ("host", "supervisor", "zygote", "lane", "rank")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSTOP)
INSTALLING = tuple((role, number) for number in (signal.SIGKILL, signal.SIGTERM) for role in ("host", "installer"))
ARCHITECTURES = ("deepseek_v3:*", "llama:*")
Verdicts = Mapping[CaseKey, Verdict]


@dataclass(frozen=True)
class Measurement:
    """A measurement that keeps its results and its temporary folders below `folder`; `measured` are options that say of what."""

    measured: tuple[str, ...]
    folder: Path

    @property
    def mark(self) -> str:
        return str(self.folder)

    def start(self) -> subprocess.Popen[bytes]:
        """Starts `matrix run`, which goes on from what is there."""
        (temporary := self.folder / "temporary").mkdir(exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "matrix",
            "run",
            "--resume",
            "--device",
            "cpu",
            "--out",
            str(self.folder / "out"),
            "--precision",
            "float32",
        ]
        command += self.measured
        command += [word for name in ARCHITECTURES for word in ("--architecture", name)]
        variables = {**os.environ, MARK: self.mark, "TMPDIR": str(temporary)}
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env=variables, stdout=log, stderr=log)

    def finish(self) -> Verdicts:
        """Measures what is missing and returns every verdict."""
        with self.start() as host:
            assert host.wait(timeout=600) == 1, (self.folder / "log").read_text()  # 5.5.4 loads buffers wrong
        (cell,) = read_run(self.folder / "out").cells
        assert cell.complete
        return {case.key: case.verdict for case in cell.cases}


@pytest.fixture(scope="module")
def undisturbed(last_broken: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Verdicts, float]:
    """What a measurement finds that nothing disturbs, and the seconds that it takes."""
    started = time.monotonic()
    measured = ("--python", str(last_broken))
    return Measurement(measured, tmp_path_factory.mktemp("undisturbed")).finish(), time.monotonic() - started


@pytest.fixture
def measurement(last_broken: Path, tmp_path: Path) -> Iterator[Measurement]:
    made = Measurement(("--python", str(last_broken)), tmp_path)
    yield made
    kill_marked(made.mark)


def hit(
    measurement: Measurement, host: subprocess.Popen[bytes], role: str, number: signal.Signals, chance: random.Random
) -> None:
    """Sends a signal to one process of `role`; where there is none at this moment, to the host."""
    found = sort_by_role(find_marked(measurement.mark)).get(role) or []
    pid = chance.choice(found).pid if found else host.pid
    os.kill(pid, number)
    if number is signal.SIGSTOP:
        # What is stopped ends nothing by itself: its host's end has to reach it.
        os.kill(host.pid, signal.SIGKILL)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    kills = metafunc.config.getoption("kills")
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(kills))
    if "installing" in metafunc.fixturenames:  # one for every fifteen
        metafunc.parametrize("installing", INSTALLING[: max(1, kills // 15)])


def test_a_kill_leaves_nothing_behind_and_loses_nothing(
    seed: int, measurement: Measurement, undisturbed: tuple[Verdicts, float]
) -> None:
    verdicts, seconds = undisturbed
    chance = random.Random(seed)
    role, number = ROLES[seed % len(ROLES)], SIGNALS[seed % len(SIGNALS)]
    with measurement.start() as host:
        if not ends_within(host, chance.uniform(0, seconds)):
            hit(measurement, host, role, number, chance)
        host.wait(timeout=600)
    assert is_empty_within(measurement.mark, 5)
    found = measurement.finish()
    assert found.keys() == verdicts.keys()
    # A rank that is killed is a crash that no rerun repeats: that is said of what it was doing, and nothing else differs.
    other = [found[key] for key in found if found[key] is not verdicts[key]]
    assert other in ([], *([Verdict.FLAKY] * count for count in (1, 2) if role == "rank"))
    assert not list((measurement.folder / "temporary").glob("zero3-temporary-*"))


def test_an_installation_that_is_killed_leaves_nothing_half_installed(
    installing: tuple[str, signal.Signals], measurement: Measurement, undisturbed: tuple[Verdicts, float]
) -> None:
    (role, number), (verdicts, _) = installing, undisturbed
    (environment,) = select_set("last-broken", load_environments())
    measured = ("--environment", environment.id, "--venv", str(measurement.folder / "venv"))
    measurement = replace(measurement, measured=measured)
    packages = measurement.folder / f"venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    with measurement.start() as host:
        # In the middle: some packages are there, others not.
        assert happens_within(60, lambda: packages.is_dir() and len(list(packages.glob("*.dist-info"))) > 3)
        os.kill(sort_by_role(find_marked(measurement.mark))[role][0].pid, number)
        host.wait(timeout=600)
    assert is_empty_within(measurement.mark, 5)
    shutil.rmtree(measurement.folder / "out", ignore_errors=True)  # says that it could not be installed
    assert measurement.finish() == verdicts


def ends_within(host: subprocess.Popen[bytes], seconds: float) -> bool:
    """Lets the measurement run for so long, and tests whether that was to its end."""
    try:
        host.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def is_empty_within(mark: str, seconds: float) -> bool:
    """Tests whether no marked process is left after so many seconds."""
    return happens_within(seconds, lambda: not find_marked(mark))

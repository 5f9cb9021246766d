"""The benchmark of the dashboard, on a year of three nights."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bot.scale import Measured, Place, Size, measure
from matrix.bench_year import Year, write
from matrix.errors import CommandFailedError
from matrix.history.database import build, opened
from matrix.history.queries import Night, nights, refused
from matrix.memory import held
from matrix.process import run as runner
from matrix.process.run import Usage

SMALL = Year(environments=3, architectures=5, nights=3, always=1, change=2)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("*/*")}


def test_a_made_up_year_is_the_same_every_time_and_all_of_it_counts(tmp_path: Path) -> None:
    write(SMALL, tmp_path / "one")
    for night in reversed(range(3)):
        write(SMALL, tmp_path / "two", [night])
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    build(tmp_path / "one", tmp_path / "history.sqlite")
    with opened(tmp_path / "history.sqlite") as history:
        assert refused(history) == ()
        assert nights(history) == tuple(
            Night(SMALL.night(number), complete, 0, 0, 0) for number, complete in enumerate((3, 1, 3))
        )


def test_a_small_year_is_built_and_one_night_added(tmp_path: Path) -> None:
    told: list[str] = []
    found = measure("small", SMALL, Place(tmp_path), told.append)
    assert len(told) == 3
    assert all(goal.met for goal in found.goals if goal.unit != "s"), "only how long it takes depends on the machine"
    assert found.records.files == 7
    assert 0 < found.start < found.site.bytes
    assert min(found.built.wall, found.built.cpu, found.built.memory, found.added.wall, found.added.cpu) > 0
    assert f"database {found.database / 1e6:,.0f} MB, site of {found.site.files} files" in found.words


def test_goals_are_the_limits_of_the_dashboard() -> None:
    on_the_limit = Measured("x", Usage(60, 1, 1024), Usage(10, 1, 9), Size(1, 1), 1, Size(9, 10**9), 150_000)
    beyond = Measured("x", Usage(60.1, 1, 9), Usage(10.1, 1, 1025), Size(1, 1), 1, Size(9, 10**9 + 1), 150_001)
    assert [goal.met for goal in on_the_limit.goals] == [True] * 5
    assert [goal.met for goal in beyond.goals] == [False] * 5


HOLD = """
import os, sys
held = bytearray(os.urandom(64 << 20))
if os.fork():
    print(flush=True)
sys.stdin.read()
"""


def test_memory_is_that_of_all_processes_and_what_they_share_counts_once() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout
        process.stdout.readline()
        assert 64 < held(process.pid) < 2 * 64
        process.communicate()
    assert held(process.pid) == 0


def test_what_a_command_took_is_told() -> None:
    took = runner.used(["-c", "sum(range(3_000_000))"])
    assert took.cpu > 0
    assert took.wall > 0


def test_a_command_that_fails_is_told_in_its_own_words() -> None:
    with pytest.raises(CommandFailedError, match=r"python -c .* failed:\nno such night"):
        runner.used(["-c", "import sys; sys.exit('no such night')"])


def test_the_years_differ_only_in_what_runs_every_night() -> None:
    assert [list(replace(SMALL, always=2).wanted(number)) for number in (0, 1, 2)] == [[0, 1, 2], [0, 1], [0, 1, 2]]

"""The benchmark of the dashboard, on a year of a few nights."""

import os
import resource
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.dev.planned_year import MEMORY_MIB, SECONDS, Year, YearMeasurement, measure, measure_usage, write_year
from matrix.history.build import build_database
from matrix.history.database import open_database
from matrix.history.queries import query_nightly_runs, query_rejected_files

SMALL = Year(environments=3, architectures=5, nights=31, always=1)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("*/*")}


def test_a_year_is_the_same_every_time_and_every_file_counts(tmp_path: Path) -> None:
    files = [write_year(SMALL, tmp_path / name) for name in ("one", "two")]
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert files == [len(contents(tmp_path / "one"))] * 2
    build_database(tmp_path / "one", tmp_path / "history.sqlite")
    with open_database(tmp_path / "history.sqlite") as history:
        assert query_rejected_files(history) == ()
        assert [run.complete for run in query_nightly_runs(history)] == [3, *[1] * 29, 3], (
            "others only when the catalog changes"
        )


def test_database_and_site_of_a_year_are_measured(tmp_path: Path) -> None:
    found = measure(SMALL, tmp_path)
    assert (found.files, found.memory > 0, found.seconds > 0, found.processor > 0) == (35, True, True, True)
    assert (tmp_path / "site/index.html").exists()
    assert "planned year (35 record files)" in str(found)


def test_memory_is_that_of_all_processes_that_run_together(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = {resource.RUSAGE_SELF: 100, resource.RUSAGE_CHILDREN: 300}
    used = {who: SimpleNamespace(ru_utime=1, ru_stime=2, ru_maxrss=mib * 1024) for who, mib in peaks.items()}
    monkeypatch.setattr(resource, "getrusage", used.__getitem__)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    seconds, memory = measure_usage()
    assert (seconds, memory) == (6, 100 + 3 * 300)
    assert "parent and workers together at most 1000 MiB" in str(YearMeasurement(1, 1.0, seconds, memory))


@pytest.mark.parametrize(
    ("measured", "met"),
    [
        (YearMeasurement(1, SECONDS, 1, MEMORY_MIB), True),
        (YearMeasurement(1, SECONDS + 0.1, 1, MEMORY_MIB), False),
        (YearMeasurement(1, SECONDS, 1, MEMORY_MIB + 1), False),
    ],
)
def test_either_goal_can_be_missed(measured: YearMeasurement, met: bool) -> None:  # noqa: FBT001
    assert measured.met is met
    assert str(measured).endswith("met" if met else "missed")

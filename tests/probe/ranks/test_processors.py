"""How many checkpoints are built at the same time: what processors and memory allow."""

import os
from pathlib import Path

import pytest

from matrix.probe.ranks.processors import BUILDER_BYTES, count_builders


def machine(monkeypatch: pytest.MonkeyPatch, folder: Path, processors: int, kibibytes: int) -> Path:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    file = folder / "meminfo"
    file.write_text(f"MemTotal:       999999999 kB\nMemFree:         1 kB\nMemAvailable:   {kibibytes} kB\n")
    return file


@pytest.mark.parametrize(
    ("processors", "builders_in_memory", "expected"), [(2, 100, 2), (32, 100, 32), (32, 6, 6), (32, 0, 1)]
)
def test_as_many_as_there_are_processors_and_as_memory_allows(
    processors: int, builders_in_memory: int, expected: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = machine(monkeypatch, tmp_path, processors, builders_in_memory * (BUILDER_BYTES >> 10) + 1000)
    assert count_builders(file) == expected


def test_a_kernel_that_does_not_say_how_much_memory_there_is_limits_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine(monkeypatch, tmp_path, 5, 1)
    assert count_builders(tmp_path / "no such file") == 5

"""Measures the dashboard of a planned year: `python -m bot.dev.planned_year`, which `nox -s bench` runs.

The year is made up, as large and as repetitive as real ones. As the nightly plan has it, the main branches are measured in every
nightly run, and all environments when the catalog or the probe changes, twelve times a year. A fifth of the cases crash. Up to
transformers 5.5.4 a tenth has 25 wrong tensors, and three lines in the file: its own and those of its confirmations.
"""

import os
import random
import re
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bot.site.build import Sources, write_site_of_history
from matrix.checks import DEFAULT
from matrix.history.reader import pack
from matrix.model import Case, Cell, Device, EnvironmentInfo, Failure, Finding, Kind, Loader, Tensors, Timing, What
from matrix.process.parallel import count_processors, spread
from matrix.results.records import case_record, end_record, header_record
from matrix.verdicts import Verdict

SECONDS, MEMORY_MIB, CORES = 60.0, 1024.0, 2
"""The goals, and the cores that are used, since a goal is for so many."""
CHANGE: Final = 30
"""The number of nightly runs between two changes of the catalog or the probe."""
CHANGED, FLIPS = 0.05, 0.1
"""The share of an environment's cases that such a change turns, and of files in which one case differs for one night."""
FIRST: Final = date(2027, 1, 1)
ERROR: Final = Failure("RuntimeError", "a message of an upstream library " * 3, "modeling.py:123 in forward", (0, 1))


@dataclass(frozen=True)
class Year:
    """How much is made up; the first `always` environments are measured in every nightly run."""

    environments: int = 60
    architectures: int = 150
    nights: int = 365
    always: int = 4


@dataclass(frozen=True)
class YearMeasurement:
    """How many record files were read, how long database and site took, and how much memory at most.

    `processor` is the time on all cores: the wall time on an idle machine with two is little more than half of it.
    `memory` is an upper bound, in MiB: it counts what processes share as often as there are processes.
    """

    files: int
    seconds: float
    processor: float
    memory: float

    @property
    def met(self) -> bool:
        """Whether both goals are met."""
        return self.seconds <= SECONDS and self.memory <= MEMORY_MIB

    def __str__(self) -> str:
        return (
            f"dashboard of a planned year ({self.files:,} record files): {self.seconds:.1f} s of at most {SECONDS:.0f} s "
            f"({self.processor:.1f} s of processor time), parent and workers together at most {self.memory:.0f} MiB "
            f"of at most {MEMORY_MIB:.0f} MiB: {'met' if self.met else 'missed'}"
        )


def write_year(year: Year, history: Path) -> int:
    """Writes the record files of a `year` into the folder `history`; returns how many."""
    with spread(partial(_write_environment, year, history), range(year.environments)) as written:
        return sum(written)


def _write_environment(year: Year, history: Path, number: int) -> int:
    """Writes the files of one environment. The seed is its number, so that every year is the same."""
    rng = random.Random(number)
    heads = [_head(case) for case in _cases(year, number) for _ in range(3 if case.findings else 1)]
    nights = [night for night in range(year.nights) if number < year.always or night % CHANGE == 0]
    for night in nights:
        share = CHANGED * len(heads) if night % CHANGE == 0 else rng.random() < FLIPS
        other = {place: _turned(heads[place]) for place in rng.sample(range(len(heads)), int(share))}
        measured = [other.get(place, head) for place, head in enumerate(heads)]
        heads = measured if night % CHANGE == 0 else heads
        _write_file(history, _cell(year, number, night), [head + _times(rng) for head in measured])
    return len(nights)


def _write_file(history: Path, cell: Cell, lines: list[str]) -> None:
    folder = history / cell.started[:10]
    folder.mkdir(parents=True, exist_ok=True)
    content = "\n".join([header_record(cell), *lines, end_record((), Timing(60.0, 8.5, 25.0, 900.0)), ""])
    (folder / f"{cell.environment.id}.jsonl.gz").write_bytes(pack(content.encode()))


def _cell(year: Year, number: int, night: int) -> Cell:
    started = f"{FIRST + timedelta(days=night)}T02:{number % 60:02}:00Z"
    inputs = f"sha256:{night // CHANGE:064}"
    return Cell(_environment(number), inputs, inputs, started, len(DEFAULT.variants) * year.architectures)


def _environment(number: int) -> EnvironmentInfo:
    """Returns the environment with this `number`: sixteen transformers, the newest first, and as many deepspeed as it takes."""
    transformers, deepspeed = f"5.{16 - number % 16}.0", f"0.19.{number // 16}"
    return EnvironmentInfo(
        id=f"transformers-{transformers}+deepspeed-{deepspeed}+torch-2.13.0+cpu",
        python="3.11.9",
        torch="2.13.0",
        transformers=transformers,
        deepspeed=deepspeed,
        accelerate="1.15.0",
        device=Device.CPU,
        backend=Device.CPU.backend,
        world_size=2,
        hardware="made up",
        packages={f"package-{index}": f"1.{index}" for index in range(60)},
    )


def _cases(year: Year, number: int) -> Iterator[Case]:
    for model in range(year.architectures):
        for variant in DEFAULT.variants:
            name = f"model_{model}:Model{model}ForCausalLM"
            case = Case(name, *variant[:2], Verdict.PASS, *variant[2:], Tensors(54, 167, 2))
            if model % 5 == 1:
                yield replace(case, verdict=Verdict.CRASH, error=ERROR, confirmed=(3, 3))
            elif model % 4 == 0 and variant.loader is Loader.STOCK and number % 16 >= 6:
                findings = tuple(_finding(model, index) for index in range(25))
                yield replace(case, verdict=Verdict.CORRUPT, findings=findings, confirmed=(3, 3))
            else:
                yield case


def _finding(model: int, index: int) -> Finding:
    name = f"model.encoder.stages.{index}.layers.{model}.attention.projection.normalization.running_mean"
    expected = tuple((model * index + place) / 128 for place in range(4))
    site = "BatchNorm2d.running_mean"
    return Finding(name, What.BUFFER, site, Kind.INIT_VALUE, (1,), False, expected, (0.0,) * 4, (16, 16))  # noqa: FBT003


def _head(case: Case) -> str:
    """Returns the line of a `case` up to its times, which are all that differs between most nightly runs."""
    return case_record(case).rpartition(', "seconds": ')[0]


def _times(rng: random.Random) -> str:
    return f', "seconds": {rng.uniform(0.1, 0.4)}, "load_seconds": {rng.uniform(0.01, 0.1)}}}'


def _turned(head: str) -> str:
    """Returns the line with another verdict: failing cases pass, passing ones crash."""
    return re.sub(
        r'"verdict": "(\w+)"', lambda found: f'"verdict": "{"crash" if found[1] == "pass" else "pass"}"', head
    )


def measure(year: Year, folder: Path) -> YearMeasurement:
    """Makes up a `year` in an empty `folder` and measures how its database and its site are built there."""
    files = write_year(year, folder / "history")
    sources = Sources(folder / "history", folder / "history.sqlite")
    started, before = time.perf_counter(), measure_usage()
    write_site_of_history(sources, folder / "site", {}, lambda _: None)
    processor, memory = measure_usage()
    return YearMeasurement(files, time.perf_counter() - started, processor - before[0], memory)


def measure_usage() -> tuple[float, float]:
    """Returns the processor seconds of this process and its children until now, and the most MiB that they can have held.

    That is the peak of this process and, for each that `spread` starts, the peak of the largest child so far.
    """
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = sum(one.ru_utime + one.ru_stime for one in (own, children))
    return seconds, (own.ru_maxrss + count_processors() * children.ru_maxrss) / 1024


if __name__ == "__main__":
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with TemporaryDirectory(prefix="zero3-year-") as name:
        result = measure(Year(), Path(name))
    sys.stdout.write(f"{result}\n")
    sys.exit(not result.met)

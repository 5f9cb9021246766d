"""A made-up year of nights, for the benchmark only: as many record files, as large and as alike, as a year of real ones.

Nothing here was measured. Sizes are those of the default set's results: 20 % of the cases crash and, up to transformers 5.5.4,
12 % are wrong with 25 findings each; whatever is red is there three times, from its confirmations (crashes were, until one rerun was enough).
"""

import os
import random
import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from itertools import islice, product
from operator import add
from pathlib import Path
from typing import Final

from matrix.history.files import packed
from matrix.model import (
    Case,
    Cell,
    Check,
    Device,
    EnvironmentInfo,
    Failure,
    Finding,
    Kind,
    Loader,
    Tensors,
    Timing,
    Verdict,
    What,
)
from matrix.results.records import case_record, end_record, header_record

AHEAD: Final = 4
"""How many files are in memory at once: enough for two cores, few enough that their memory is used again."""
SEED: Final = 45402
FIRST: Final = date(2027, 1, 1)
TIMES: Final = 4096
FLIPS: Final = 0.1
"""The share of files in which one case flips for a night."""
CHANGED: Final = 0.05
"""The share of an environment's cases that change for good when the catalog or the probe does."""


@dataclass(frozen=True)
class Year:
    """What is made up. Every `change` nights catalog or probe change; only `always` environments run on all other nights."""

    environments: int = 60
    architectures: int = 150
    nights: int = 365
    always: int = 60
    change: int = 30

    def night(self, number: int) -> date:
        """The date of a night, from 0."""
        return FIRST + timedelta(days=number)

    def wanted(self, number: int) -> range:
        """The environments that a night measures."""
        return range(self.environments if number % self.change == 0 else self.always)


EVERY_NIGHT: Final = Year()
"""The harshest reading of a year: every case of every environment is measured every night."""
AS_PLANNED: Final = replace(EVERY_NIGHT, always=4)
"""What the nightly plan makes: a cell runs when its inputs changed, main branches every night, all twelve times a year."""


def write(year: Year, history: Path, nights: Iterable[int] | None = None) -> None:
    """Write the record files of the `nights`, of all when not given, into the folder `history`."""
    left = _files(year, history, range(year.nights) if nights is None else nights)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pending = deque(pool.submit(_write, file) for file in islice(left, AHEAD))
        while pending:
            pending.popleft().result()
            pending.extend(pool.submit(_write, file) for file in islice(left, 1))


def _files(year: Year, history: Path, nights: Iterable[int]) -> Iterator[tuple[Path, bytes]]:
    for number in nights:
        folder = history / year.night(number).isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        for environment in year.wanted(number):
            name = _info(environment).id
            yield folder / f"{name}.jsonl.gz", _records(year, environment, number)


def _write(file: tuple[Path, bytes]) -> None:
    path, content = file
    path.write_bytes(packed(content))


def _records(year: Year, environment: int, night: int) -> bytes:
    """The lines of one file."""
    rng = random.Random(f"{SEED} {environment} {night}")
    heads = list(_heads(year, environment, night // year.change))
    if rng.random() < FLIPS:
        place = rng.randrange(len(heads))
        heads[place] = _flipped(heads[place])
    start = rng.randrange(TIMES - 1)
    times = (_times() * (len(heads) // TIMES + 2))[start : start + len(heads)]
    cell = _cell(year, environment, night)
    end = end_record((), Timing(rng.uniform(50, 70), 8.5, rng.uniform(20, 30), 900.0))
    return b"\n".join([header_record(cell).encode(), *map(add, heads, times), end.encode(), b""])


def _info(number: int) -> EnvironmentInfo:
    """The environment of that number: sixteen transformers, the newest first, and as many deepspeed as it takes."""
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


def _cell(year: Year, environment: int, night: int) -> Cell:
    started = f"{year.night(night)}T02:{environment:02}:00Z"
    inputs = f"sha256:{night // year.change:064}"
    return Cell(_info(environment), inputs, inputs, started, len(Loader) * len(Check) * year.architectures)


@cache
def _times() -> list[bytes]:
    rng = random.Random(SEED)
    values = ((rng.uniform(0.1, 0.4), rng.uniform(0.01, 0.1)) for _ in range(TIMES))
    return [f', "seconds": {whole}, "load_seconds": {part}}}'.encode() for whole, part in values]


@cache
def _heads(year: Year, environment: int, changes: int) -> tuple[bytes, ...]:
    """The case lines of an environment without their times, after so many changes of catalog or probe."""
    if not changes:
        return tuple(head for case in _cases(year, environment) for head in _lines(case))
    heads = list(_heads(year, environment, changes - 1))
    rng = random.Random(f"{SEED} {environment} changed {changes}")
    for place in rng.sample(range(len(heads)), int(CHANGED * len(heads))):
        heads[place] = _flipped(heads[place])
    return tuple(heads)


def _cases(year: Year, environment: int) -> Iterator[Case]:
    version = environment % 16
    keys = product(range(year.architectures), Loader, Check)
    for number, loader, check in keys:
        case = Case(f"model_{number}:Model{number}ForCausalLM", loader, check, Verdict.PASS, Tensors(54, 167, 2))
        if number % 5 == 1:
            yield replace(case, verdict=Verdict.CRASH, error=_ERROR, confirmed=(3, 3))
        elif number % 4 == 0 and loader is Loader.STOCK and version >= 6:
            findings = tuple(_finding(number, index) for index in range(25))
            yield replace(case, verdict=Verdict.CORRUPT, findings=findings, confirmed=(3, 3))
        else:
            yield case


_ERROR: Final = Failure("RuntimeError", "a message of an upstream library " * 3, "modeling.py:123 in forward", (0, 1))


def _finding(number: int, index: int) -> Finding:
    name = f"model.encoder.stages.{index}.layers.{number}.attention.projection.normalization.running_mean"
    rng = random.Random(f"{SEED} {number} {index}")
    values = tuple(rng.randrange(-4096, 4096) / 128 for _ in range(4))
    site = "BatchNorm2d.running_mean"
    return Finding(name, What.BUFFER, site, Kind.INIT_VALUE, (1,), False, values, (0.0,) * 4, (16, 16))  # noqa: FBT003


def _lines(case: Case) -> Iterator[bytes]:
    """The lines of a case: one, or three when it is red."""
    runs = 3 if case.verdict.wrong_values else 1
    for line in islice(iter(lambda: case_record(case), None), runs):
        yield line.encode().rpartition(b', "seconds": ')[0]


def _flipped(head: bytes) -> bytes:
    """The line with another verdict: red becomes green, and green red."""
    start, verdict, rest = re.split(rb'(?<="verdict": ")([a-z_]+)', head, maxsplit=1)
    return start + (b"crash" if verdict == b"pass" else b"pass") + rest

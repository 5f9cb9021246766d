"""What a history keeps of its record files, read by all processors where they are many."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from matrix.errors import OtherSchemaError, ResultsError
from matrix.history.files import State, contents
from matrix.history.reader import Reader
from matrix.model import Case
from matrix.parallel import spread
from matrix.results.records import header_record

FEW: Final = 100
"""So many files are read sooner than another process hands over what it read."""


@dataclass(frozen=True)
class Told:
    """The cell in a record file: the name of its environment, its `header` without times, its cases without evidence.

    `numbers` are the lines of the cases in the file; the header's is 0.
    """

    environment: str
    header: str
    started: str
    state: State
    cases: tuple[Case, ...]
    numbers: tuple[int, ...]


def told(history: Path, paths: Sequence[str]) -> Iterator[Told | str]:
    """What the record file at each of `paths` inside the `history` tells, or why it counts for nothing.

    Where a file repeats what the one before of its name said, its cases are the very same objects.
    """
    same: dict[str, list[int]] = defaultdict(list)
    for place, path in enumerate(paths):
        same[PurePosixPath(path).name].append(place)
    groups = sorted(same.values(), key=len, reverse=True) if len(paths) > FEW else [list(range(len(paths)))]
    found: dict[int, Told | str] = {}
    with spread(partial(_told, history), [[paths[place] for place in group] for group in groups]) as answers:
        for group, answer in zip(groups, answers, strict=True):
            found.update(zip(group, answer, strict=True))
    return (found[place] for place in range(len(paths)))


def _told(history: Path, paths: Sequence[str]) -> list[Told | str]:
    """Of files one after the other. What they share is there once, so that it goes to another process once."""
    reader = Reader()
    headers: dict[str, str] = {}
    return [_one(reader, history, path, headers) for path in paths]


def _one(reader: Reader, history: Path, path: str, headers: dict[str, str]) -> Told | str:
    try:
        cell = reader.cell(path, contents(history, path))
    except (ResultsError, OtherSchemaError) as error:
        return str(error)
    header = header_record(replace(cell, started="", cases=()))
    header = headers.setdefault(header, header)
    return Told(cell.environment.id, header, cell.started, State.of(cell), cell.cases, reader.numbers(path))

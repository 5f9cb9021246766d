"""Reading a year of nights: most files repeat the one of the night before but for the times, and are not judged again."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import Final

from matrix.errors import ResultsError
from matrix.history.files import check_lines, record_lines
from matrix.model import Case, Cell, Timing
from matrix.results.records import SCHEMA, case_record
from matrix.results.store import LineReader, assembled, schema_of, with_cases

_NUMBER: Final = rb"((?:0|[1-9]\d{0,14})\.\d+)"  # one with more digits may be no float
_TIMES: Final = re.compile(rb', "seconds": ' + _NUMBER + rb', "load_seconds": ' + _NUMBER + rb"\}\n")
HEADS: Final = 8192
"""How many things that case lines say are known at once: environments have most of them in common."""


_Value = Cell | Case | Timing


@dataclass(frozen=True)
class _Read:
    """What the lines after the header of a file hold, and the cases that this comes to.

    `heads` are the case lines without the times that they end with; nothing for any other line. `numbers` are the lines of
    the `cases`.
    """

    schema: int
    heads: list[bytes] = field(default_factory=list)
    values: list[_Value] = field(default_factory=list)
    cases: tuple[Case, ...] = ()
    numbers: tuple[int, ...] = ()

    def numbered(self, other: "_Read") -> tuple[int, ...]:
        """The last line of each case, counted from the header, which is 0; if it can be, the very object of the `other`."""
        values = enumerate(self.values, start=1)
        numbers = tuple({value.key: number for number, value in values if isinstance(value, Case)}.values())
        return other.numbers if numbers == other.numbers else numbers

    @cached_property
    def places(self) -> dict[bytes, int]:
        """Where each case line is."""
        return {head: place for place, head in enumerate(self.heads) if head}

    def repeated(self, content: bytes, start: int, place: int) -> tuple[int, int]:
        """Where `content`, from its byte `start` on, ends to repeat the lines from `place` on: the byte and the place."""
        for head in islice(self.heads, place, None):
            times = head and content.startswith(head, start) and _TIMES.match(content, start + len(head))
            if not times:
                break
            start, place = times.end(), place + 1
        return start, place

    def end_after(self, other: "_Read") -> Timing | None:
        """The end, when the cases, nothing but these before it, are those of the `other`."""
        if self.heads != other.heads or self.heads.count(b"") != 1:
            return None
        end = self.values[-1]
        return end if isinstance(end, Timing) else None


class Reader:
    """Reads the files of nights in their order. Of a case it tells neither the evidence nor the times."""

    def __init__(self) -> None:
        self._before: dict[str, _Read] = {}

    def cell(self, path: str, content: bytes) -> Cell:
        """The cell that the file at `path` holds as `content`; raises as `matrix.results.store.read_cell` does.

        Where it says the same as the file read before of the same name, its cases are the very same objects.
        """
        reader, header = _begun(Path(path), content)
        before = self._before.get(reader.path.name)
        if not before or before.schema != reader.schema:
            before = _Read(reader.schema)
        read = _read(content, before, reader)
        if isinstance(header, Cell) and (end := read.end_after(before)):
            cell, numbers = with_cases(replace(header, timing=end), before.cases, ended=True), before.numbers
        else:
            cell, numbers = assembled([header, *read.values], reader.path), read.numbered(before)
        self._before[reader.path.name] = replace(read, cases=cell.cases, numbers=numbers)
        return cell

    def numbers(self, path: str) -> tuple[int, ...]:
        """The line of each case of the file at `path`, which `cell` has just read: its last one. The header's is 0."""
        return self._before[Path(path).name].numbers


def case_lines(path: str, content: bytes, numbers: Iterable[int]) -> list[bytes]:
    """The lines with these `numbers` of a file that `Reader.cell` could read, cases all, in the schema of this version."""
    lines = record_lines(content, path)
    reader = LineReader(Path(path), schema_of(lines[:1], Path(path)))
    if reader.current:
        return [lines[number] for number in numbers]
    values = (reader.value(lines[number], number + 1) for number in numbers)
    return [case_record(value).encode() for value in values if isinstance(value, Case)]


def _begun(path: Path, content: bytes) -> tuple[LineReader, _Value]:
    """What reads the lines of a file, and what its header holds."""
    end = content.find(b"\n")
    if end < 0:
        raise ResultsError(path, "no complete record")
    reader = LineReader(path, schema_of([content[:end]], path))
    return reader, reader.value(content[:end], 1)


def _read(content: bytes, before: _Read, reader: LineReader) -> _Read:
    """The lines after the header; only those are judged that the file `before` does not have."""
    read = _Read(reader.schema)
    start, place = content.find(b"\n") + 1, 0
    while True:
        first = place
        if before.heads:
            start, place = before.repeated(content, start, first)
            read.heads.extend(before.heads[first:place])
            read.values.extend(before.values[first:place])
        end = content.find(b"\n", start)
        if end < 0:
            return read
        line, start = content[start:end], end + 1
        times = _times(line)
        head = line[: times.start()] if times else b""
        known = before.places.get(head)
        value = before.values[known] if known is not None else _value(reader, line, head, len(read.values) + 2)
        read.heads.append(head if isinstance(value, Case) else b"")
        read.values.append(value)
        check_lines(len(read.values), reader.path)
        place = (place if known is None else known) + 1  # a changed line stands for the one that was there


def _times(line: bytes) -> re.Match[bytes] | None:
    """The times that end a case line; None when it does not end with them."""
    # A quote inside a JSON string has a backslash before it, so this text is the key itself.
    return _TIMES.fullmatch(line + b"\n", line.rfind(b', "seconds": '))


def _value(reader: LineReader, line: bytes, head: bytes, number: int) -> _Value:
    """What a line holds, of a case neither the evidence nor the times."""
    if head and reader.current:
        try:  # `suppress` takes as long as the answer
            return _brief(head)
        except ResultsError:
            pass
    value = reader.value(line, number)
    return _without_evidence(value) if isinstance(value, Case) else value


def case_in(line: bytes) -> Case:
    """The case in a line that `case_lines` gave; raises ResultsError."""
    times = _times(line)
    if times is None:
        return _judged(line)
    return _timed(_whole(line[: times.start()]), float(times[1]), float(times[2]))


def _timed(case: Case, seconds: float, load_seconds: float) -> Case:
    """As `replace` makes it, which takes twenty times as long, for every case of a history."""
    copy = object.__new__(Case)
    vars(copy).update(vars(case), key=case.key, seconds=seconds, load_seconds=load_seconds)
    return copy


@lru_cache(HEADS)
def _whole(head: bytes) -> Case:
    return _judged(head + b"}")


@lru_cache(HEADS)
def _brief(head: bytes) -> Case:
    return _without_evidence(_judged(head + b"}"))


def _judged(line: bytes) -> Case:
    value = LineReader(Path("evidence"), SCHEMA).value(line, 2)
    if not isinstance(value, Case):
        raise ResultsError(Path("evidence"), "is no case")
    return value


def _without_evidence(case: Case) -> Case:
    return replace(case, findings=(), error=None, seconds=0.0, load_seconds=0.0)

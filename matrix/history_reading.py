"""Reading a year of nights: most files repeat the one of the night before but for the times, and are not judged again."""

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from matrix.history_records import record_lines
from matrix.model import Case, CaseKey, Cell, Timing, case_record
from matrix.store import LineReader, assembled, schema_of, with_cases

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_TIMES: Final = re.compile(rb', "seconds": (?:0|[1-9]\d*)\.\d+, "load_seconds": (?:0|[1-9]\d*)\.\d+\}\n')
AHEAD: Final = 16
"""How many files are in memory at once: enough to keep two cores busy."""


@dataclass(frozen=True)
class _Before:
    """The file last read of a name: what its case lines say, each up to its times.

    `heads` are those of all lines between the header and the end, in their order; None when there is anything else.
    """

    schema: int
    known: dict[bytes, Case]
    heads: list[bytes] | None
    cases: tuple[Case, ...]


class Reader:
    """Reads the files of nights in their order. Of a case it tells neither the evidence nor the times."""

    def __init__(self) -> None:
        self._before: dict[str, _Before] = {}

    def cell(self, path: str, content: bytes) -> Cell:
        """The cell that the file at `path` holds as `content`; raises as `matrix.store.read_cell` does.

        Its cases are the very same tuple as those of the file read before of the same name when they say the same.
        """
        reader = _line_reader(path, content)
        before = self._same_schema(reader)
        if before and (repeated := _repeated(content, before, reader)):
            return repeated
        known = before.known if before else {}
        cell, self._before[reader.path.name] = _judged(record_lines(content, path), known, reader)
        return cell

    def _same_schema(self, reader: LineReader) -> _Before | None:
        before = self._before.get(reader.path.name)
        return before if before and before.schema == reader.schema else None

    def case_lines(self, path: str, content: bytes) -> dict[CaseKey, bytes]:
        """The line of each case in a file that `cell` could read: its last one, in the schema of this version."""
        reader = _line_reader(path, content)
        before = self._same_schema(reader)
        known = before.known if before and reader.current else {}
        found: dict[CaseKey, bytes] = {}
        for number, line in enumerate(record_lines(content, path), start=1):
            case = known.get(_head(line)) or reader.value(line, number)
            if isinstance(case, Case):
                found[case.key] = line if reader.current else case_record(case).encode()
        return found


def _line_reader(path: str, content: bytes) -> LineReader:
    header = [content[:end]] if (end := content.find(b"\n")) >= 0 else []
    return LineReader(Path(path), schema_of(header, Path(path)))


def _repeated(content: bytes, before: _Before, reader: LineReader) -> Cell | None:
    """The cell, when its case lines are those from `before` but for their times, and its end follows."""
    if before.heads is None:
        return None
    first = content.find(b"\n") + 1
    place = first
    for head in before.heads:
        times = content.startswith(head, place) and _TIMES.match(content, place + len(head))
        if not times:
            return None
        place = times.end()
    if content.find(b"\n", place) != len(content) - 1:
        return None
    cell = reader.value(content[: first - 1], 1)
    end = reader.value(content[place:-1], len(before.heads) + 2)
    if not isinstance(cell, Cell) or not isinstance(end, Timing):
        return None
    return with_cases(replace(cell, timing=end), before.cases, ended=True)


def _judged(lines: list[bytes], known: dict[bytes, Case], reader: LineReader) -> tuple[Cell, _Before]:
    """The cell, line by line but for those `known`, and what to remember for the next file of its name."""
    heads = list(map(_head, lines))
    values: list[Cell | Case | Timing] = []
    cases: dict[bytes, Case] = {}
    for number, (line, head) in enumerate(zip(lines, heads, strict=True), start=1):
        value = cases.get(head) or known.get(head) or _brief(reader.value(line, number))
        if head and isinstance(value, Case):
            cases[head] = value
        values.append(value)
    cell = assembled(values, reader.path)
    clean = isinstance(values[-1], Timing) and all(head in cases for head in heads[1:-1])
    return cell, _Before(reader.schema, cases, heads[1:-1] if clean else None, cell.cases)


def _head(line: bytes) -> bytes:
    """What stands before the times that end a case line; empty for any other line."""
    # A quote inside a JSON string has a backslash before it, so this text is the key itself.
    place = line.rfind(b', "seconds": ')
    return line[:place] if _TIMES.fullmatch(line + b"\n", place) else b""


def _brief(value: Cell | Case | Timing) -> Cell | Case | Timing:
    if isinstance(value, Case):
        return replace(value, findings=(), error=None, seconds=0.0, load_seconds=0.0)
    return value


def ahead(function: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
    """What `function` gives for each of `items`, in their order, worked out by threads some items ahead."""
    left = iter(items)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pending = deque(pool.submit(function, item) for item in islice(left, AHEAD))
        while pending:
            yield pending.popleft().result()
            pending.extend(pool.submit(function, item) for item in islice(left, 1))

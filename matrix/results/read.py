"""Reads results files: one file per cell, one JSON record per line."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.version import Version

from matrix.errors import NoResultsError, ResultsError
from matrix.model import Case, Cell, Run, Timing
from matrix.results.parse import LineReader, find_schema
from matrix.versions import version_key


def read_lines(path: Path) -> list[bytes]:
    """Returns the lines of a file; a last one without its end was cut off and is left out. Raises ResultsError."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise ResultsError(path, error.strerror or str(error)) from error


def read_cell(path: Path) -> Cell:
    """Returns the cell in `path`; a later record of a case replaces an earlier one. Records of older schemas are migrated.

    Raises OtherSchemaError, or ResultsError for anything that is not a results file. A half-written last line is left out.
    """
    return parse_cell(read_lines(path), path)


def parse_cell(lines: Sequence[bytes], path: Path) -> Cell:
    """Returns the cell in the `lines` of the file at `path`, as `read_cell` does; raises what it raises."""
    reader = LineReader(path, find_schema(lines, path))
    return assemble_cell((reader.value(line, number) for number, line in enumerate(lines, start=1)), path)


def assemble_cell(values: Iterable[Cell | Case | Timing], path: Path) -> Cell:
    """Returns the cell of a file's records, which are in their order; raises ResultsError when there are none."""
    records = iter(values)
    cell = next(records, None)
    if not isinstance(cell, Cell):
        raise ResultsError(path, "no complete record")
    cases: dict[object, Case] = {}
    ended, timing = False, Timing()
    for value in records:
        ended = isinstance(value, Timing)
        if isinstance(value, Timing):
            timing = value
        elif isinstance(value, Case):
            cases[value.key] = value
    return add_cases(replace(cell, timing=timing), tuple(cases.values()), ended=ended)


def add_cases(cell: Cell, cases: tuple[Case, ...], *, ended: bool) -> Cell:
    """Returns the `cell` of a header with its `cases`; `ended` when the last record of its file is its end."""
    # A resumed file may hold more than its header asked for, or, resumed for a part, end with less.
    complete = ended and (cell.error is not None or len(cases) >= cell.planned)
    return replace(cell, cases=cases, complete=complete, planned=max(cell.planned, len(cases)))


def _age(cell: Cell) -> tuple[tuple[bool, Version, str], ...]:
    """Sorts cells by the versions of transformers, then deepspeed, then torch."""
    info = cell.environment
    return tuple(map(version_key, (info.transformers, info.deepspeed, info.torch)))


def read_run(directory: Path) -> Run:
    """Returns every cell in `directory`, the oldest versions first; raises NoResultsError, and what `read_cell` raises."""
    paths = sorted(directory.glob("*.jsonl"))
    if not paths:
        raise NoResultsError(directory)
    return Run(tuple(sorted((read_cell(path) for path in paths), key=_age)))

"""Finds the two runs that `compare BASE HEAD` names: folders of results, or versions among the results at hand."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from matrix.advice.sources import open_snapshot
from matrix.comparison.compare import RunPair, pair_runs
from matrix.errors import MatrixError, UnknownSourceError, closest
from matrix.model import Cell, Run
from matrix.results.read import read_run
from matrix.text import make_printable

_EXAMPLE: Final = "TRANSFORMERS+DEEPSPEED, such as 5.5.4+0.19.8"


class NoSuchRunError(MatrixError):
    """One or two names that are neither folders nor versions with results at hand; says the close matches of each.

    `why` says what is wrong with the source where it has no results at all.
    """

    def __init__(self, names: Iterable[str], cells: Sequence[Cell], source: str, why: str = "") -> None:
        pairs = list(dict.fromkeys(map(_pair, cells)))
        known = [*pairs, *(cell.environment.id for cell in cells)]
        lines = [_no_such(name, known) for name in dict.fromkeys(names)]
        instead = why or f"pass a folder of results, or versions: {_EXAMPLE}"
        instead = f"'{source}' has {', '.join(pairs)}" if pairs else instead
        super().__init__("\n".join(map(make_printable, [*lines, instead])))


class AmbiguousPairError(MatrixError):
    """Two pairs of versions with several environments, of which no two belong together alone."""

    def __init__(self, base: Sequence[Cell], head: Sequence[Cell]) -> None:
        sides = (("base", base), ("head", head))
        lines = [f"  {role}: {', '.join(cell.environment.id for cell in cells)}" for role, cells in sides]
        why = "which environments to compare is ambiguous (device and torch decide): name two of these instead"
        super().__init__("\n".join(map(make_printable, [why, *lines])))


def find_runs(base: str, head: str, source: str) -> tuple[RunPair, ...]:
    """Returns the runs to compare, one environment each. A name is a folder, a pair of versions, or an environment's id.

    The last two are looked for in `source`. Raises NoSuchRunError and AmbiguousPairError, and what `read_run` and
    `open_snapshot` raise.
    """
    folders = {name: read_run(Path(name)).cells for name in (base, head) if Path(name).is_dir()}
    if base in folders and head in folders:
        return pair_runs(Run(folders[base]), Run(folders[head]))
    versions = any("+" in name for name in (base, head) if name not in folders)
    known, why = _read_source(source) if versions else ((), "")
    found = [folders.get(name) or _named(name, known) for name in (base, head)]
    if missing := [name for name, cells in zip((base, head), found, strict=True) if not cells]:
        raise NoSuchRunError(missing, known, source, why)
    return match_cells(*found)


def _read_source(source: str) -> tuple[Sequence[Cell], str]:
    """Returns the cells in `source`, or none and why it is not a source of results."""
    try:
        return open_snapshot(source).run.cells, ""
    except UnknownSourceError as error:
        return (), str(error)


def match_cells(base: Sequence[Cell], head: Sequence[Cell]) -> tuple[RunPair, ...]:
    """Returns pairs of one cell each: the only ones, or those with the same device and torch.

    Raises AmbiguousPairError where there is no such pair, or where a cell would be in several.
    """
    pairs = [(before, after) for before in base for after in head if _machine(before) == _machine(after)]
    if len(base) == len(head) == 1:
        pairs = [(base[0], head[0])]
    sides = [{id(cell) for cell in side} for side in zip(*pairs, strict=True)]
    if not pairs or any(len(side) < len(pairs) for side in sides):
        raise AmbiguousPairError(base, head)
    return tuple((Run((before,)), Run((after,))) for before, after in pairs)


def _named(name: str, cells: Iterable[Cell]) -> tuple[Cell, ...]:
    return tuple(cell for cell in cells if name in (_pair(cell), cell.environment.id))


def _pair(cell: Cell) -> str:
    return f"{cell.environment.transformers}+{cell.environment.deepspeed}"


def _machine(cell: Cell) -> tuple[str, str]:
    return cell.environment.device, cell.environment.torch


def _no_such(name: str, known: Sequence[str]) -> str:
    close = closest(name, known)
    return f"no results for {name!r}" + (f"; did you mean {', '.join(close)}?" if close else "")

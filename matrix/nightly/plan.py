"""The plan of a nightly run: cells with the reason for each, spread over machines, written as JSON."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from matrix.environments.pins import ADDRESS, is_version
from matrix.environments.spec import Environment, plan_info
from matrix.errors import UnknownNameError
from matrix.model import Cell, Device
from matrix.plans import PlanFormat


class Reason(StrEnum):
    """Why a cell is measured, the most urgent first: a machine that runs out of time leaves out the last."""

    NEW = "new"
    """It was never measured."""
    CHANGED = "changed"
    """What it is measured with or by has changed since the last time."""
    UNFINISHED = "unfinished"
    """The last time it was not completed, or did not even begin."""
    FAILED = "failed"
    """The last time it could not be installed or imported."""
    ASKED = "asked"
    """Somebody asked for it by hand."""
    OLD = "old"
    """Nothing is known to have changed, but it was measured long ago."""

    @property
    def rank(self) -> int:
        """Returns 0 for the most urgent."""
        return list(Reason).index(self)


@dataclass(frozen=True)
class NightlyCell:
    """A cell that a nightly run measures on the machine `shard`, and why, in `words` as well."""

    shard: str
    environment: Environment
    why: Reason
    words: str = ""


@dataclass(frozen=True)
class NightlyPlan:
    """Everything that a nightly run measures. Each cell has `cases` cases; `catalog` and `probe` are digests, as in records.

    `moment` is when it was planned, such as 2026-11-22T01:37:00Z, and `night` its date.
    """

    night: date
    moment: str
    device: Device
    catalog: str
    probe: str
    cases: int
    cells: tuple[NightlyCell, ...]

    def name(self, cell: NightlyCell) -> str:
        """Returns the id of the cell, as its record and its file have it."""
        return f"{cell.environment.id}+{self.device}"

    def unmeasured(self, cell: NightlyCell) -> Cell:
        """Returns the cell without a single case: what it should have been."""
        versions = {"python": cell.environment.python, **cell.environment.pins}
        info = plan_info(cell.environment.id, versions, self.device, WORLD_SIZE)
        return Cell(info, self.catalog, self.probe, self.moment, self.cases)

    def of(self, shard: str) -> tuple[NightlyCell, ...]:
        """Returns the cells of one machine, in the order to measure them in; raises UnknownNameError."""
        found = tuple(cell for cell in self.cells if cell.shard == shard)
        if not found:
            raise UnknownNameError("shard", [shard], sorted({cell.shard for cell in self.cells}))
        return found


WORLD_SIZE: Final = 2
_SHARD: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def _problems(plan: NightlyPlan) -> Iterator[str]:
    names = [cell.environment.id for cell in plan.cells]
    if len(set(names)) < len(names):
        yield "two cells have the same name"
    if not (_DIGEST.fullmatch(plan.catalog) and _DIGEST.fullmatch(plan.probe)):
        yield "catalog and probe must be digests"
    for cell in plan.cells:
        if not _SHARD.fullmatch(cell.shard) or not re.fullmatch(r"[A-Za-z0-9][\w.+-]{0,200}", cell.environment.id):
            yield f"{cell.shard!r} or {cell.environment.id!r} is not a valid folder name"
        for pin in cell.environment.pins.values():
            if not (is_version(pin) or ADDRESS.fullmatch(pin)):
                yield f"{pin!r} is neither a release nor a commit"


FORMAT: Final = PlanFormat(NightlyPlan, "nightly plan", "zero3 nightly plan", _problems)
nightly_plan_to_json, nightly_plan_from_json, read_nightly_plan = FORMAT.to_json, FORMAT.from_json, FORMAT.read

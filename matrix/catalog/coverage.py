"""PURE. Computes how many architectures with buffers were checked in an environment, and why the others were not."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from matrix.catalog.lock import Lock
from matrix.catalog.set_cover import cover, rank_head
from matrix.model import Case, Cell
from matrix.verdicts import Verdict

LEFT_OUT = "left out of this run"


@dataclass(frozen=True)
class Coverage:
    """Of `discovered` architectures with buffers `checked` have a verdict; `unchecked` says why the others have none.

    `unreached` are buffers that the sources of that version register and no model there has.
    """

    checked: int
    discovered: int
    unchecked: Mapping[str, str]
    unreached: tuple[str, ...] = ()


def compute_coverage(cell: Cell, lock: Lock) -> Coverage | None:
    """Returns what `cell` covers of what its version of transformers has; None for a version that was not scanned."""
    if cell.environment.transformers not in lock.versions:
        return None
    scanned, bearing = lock.versions[cell.environment.transformers], lock.bearing(cell.environment.transformers)
    cases: dict[str, list[Case]] = defaultdict(list)
    for case in cell.cases:
        cases[case.architecture].append(case)
    reasons = {name: why for name in bearing if (why := _unchecked(cases[name]))}
    unchecked, checked = {**scanned.unchecked, **reasons}, len(bearing) - len(reasons)
    return Coverage(checked, checked + len(unchecked), dict(sorted(unchecked.items())), scanned.unreached)


def _unchecked(cases: list[Case]) -> str:
    """Returns why these cases say nothing about ZeRO-3; empty when one of them does."""
    if any(_loaded(case) for case in cases):
        return ""
    error = next((case.error for case in cases if case.error), None)
    return f"{cases[0].verdict}: {error.message if error else ''}".strip(": ") if cases else LEFT_OUT


def _loaded(case: Case) -> bool:
    """Returns whether the model was loaded under ZeRO-3, which is not tried after a plain load that raises."""
    return case.verdict.row.measured and not (case.verdict is Verdict.BASELINE_BROKEN and case.error)


def select_covering(lock: Lock) -> tuple[str, ...]:
    """Returns a small set of architectures that has every buffer site of every scanned version, sorted."""
    known = {one.id: one for one in lock.architectures}
    chosen: set[str] = set()
    for version in lock.versions:
        bearing = lock.bearing(version)
        sites = {name: known[name].sites_in(version) for name in bearing}
        covered = {site for name in chosen.intersection(bearing) for site in sites[name]}
        left = {name: [site for site in sites[name] if site not in covered] for name in bearing}
        chosen |= set(cover(left, lambda name: rank_head(name.partition(":")[2])))
    return tuple(sorted(chosen))

"""PURE. Computes how much of what the catalog knows was checked in an environment, and why the rest was not."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from matrix.catalog.lock import Lock
from matrix.catalog.set_cover import cover, rank_head
from matrix.model import Case, Cell, Precision
from matrix.verdicts import Verdict

LEFT_OUT = "left out of this run"


@dataclass(frozen=True)
class Coverage:
    """Of `discovered` architectures of the catalog `checked` have a verdict; `unchecked` says why the others have none.

    `sites` and `float32` say of how many buffer sites, and module classes kept in float32, one bearer was checked, the latter in a
    narrower precision, and how many there are. `unreached` are buffers that the sources of that version register and no model there has.
    """

    checked: int
    discovered: int
    unchecked: Mapping[str, str]
    unreached: tuple[str, ...] = ()
    sites: tuple[int, int] = (0, 0)
    float32: tuple[int, int] = (0, 0)


def compute_coverage(cell: Cell, lock: Lock) -> Coverage | None:
    """Returns what `cell` covers of what its version of transformers has; None for a version that was not scanned."""
    if cell.environment.transformers not in lock.versions:
        return None
    scanned, borne = lock.versions[cell.environment.transformers], list_borne(lock, cell.environment.transformers)
    cases: dict[str, list[Case]] = defaultdict(list)
    for case in cell.cases:
        cases[case.architecture].append(case)
    reasons = {name: why for name in borne if (why := _unchecked(cases[name]))}
    unchecked, checked = {**scanned.unchecked, **reasons}, len(borne) - len(reasons)
    # What stays in float32 shows in a narrower precision only.
    narrow = {
        name for name in borne if any(_loaded(case) and case.precision is not Precision.FLOAT32 for case in cases[name])
    }
    sites = {name: [one for one in found if _is_site(one)] for name, found in borne.items()}
    kept = {name: [one for one in found if not _is_site(one)] for name, found in borne.items()}
    return Coverage(
        checked,
        checked + len(unchecked),
        dict(sorted(unchecked.items())),
        scanned.unreached,
        sites=_count(sites, borne.keys() - reasons.keys()),
        float32=_count(kept, narrow),
    )


def _count(borne: Mapping[str, Collection[str]], checked: Collection[str]) -> tuple[int, int]:
    """Returns how much of what is borne those `checked` have, and how much there is."""
    had = {one for name in checked for one in borne[name]}
    return len(had), len({one for found in borne.values() for one in found})


def _is_site(borne: str) -> bool:
    """Returns whether it is a buffer site, `ModuleClass.name`, and not a module class."""
    return "." in borne


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
    """Returns a small set of architectures with all that `list_borne` says of every scanned version, sorted."""
    borne: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for version in lock.versions:
        for name, found in list_borne(lock, version).items():
            borne[name] |= {(version, one) for one in found}
    return cover(borne, lambda name: rank_head(name.partition(":")[2]))


def list_borne(lock: Lock, version: str) -> dict[str, frozenset[str]]:
    """Returns what each architecture is measured for in a version: buffer sites, and module classes kept in float32."""
    known = {one.id: one for one in lock.architectures}
    return {
        name: frozenset(known[name].sites_in(version))
        | {site.partition(".")[0] for site in known[name].float32_in(version)}
        for name in lock.bearing(version)
    }

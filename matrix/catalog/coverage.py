"""PURE. Computes how much of what the catalog knows was checked in an environment, and why the rest was not."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from matrix.catalog.gaps import Place, explain_gap, find_gaps, list_places, place_of, says_something
from matrix.catalog.lock import Lock
from matrix.catalog.set_cover import cover, rank_head
from matrix.model import Case, Cell, Precision


@dataclass(frozen=True)
class Coverage:
    """Of `discovered` architectures with buffers or a float32 list `checked` have a verdict, and likewise of the `popular` ones.

    `cases` counts architecture x check x precision: how many have a verdict, and how many there are. The others have a
    reason: `unchecked` for architectures without any verdict, `partly` for some places of an architecture. Nothing was
    measured at the places `left_out`.
    `sites` and `float32` say of how many buffer sites, and module classes kept in float32, one bearer was checked, the latter in a
    narrower precision, and how many there are. `unreached` are buffers that the sources of that version register and no model there has.
    """

    checked: int
    discovered: int
    unchecked: Mapping[str, str]
    unreached: tuple[str, ...] = ()
    sites: tuple[int, int] = (0, 0)
    float32: tuple[int, int] = (0, 0)
    popular: tuple[int, int] = (0, 0)
    cases: tuple[int, int] = (0, 0)
    partly: Mapping[str, Mapping[Place, str]] = field(default_factory=dict)
    left_out: tuple[Place, ...] = ()


def compute_coverage(cell: Cell, lock: Lock) -> Coverage | None:
    """Returns what `cell` covers of what its version of transformers has; None for a version that was not scanned."""
    version = cell.environment.transformers
    if version not in lock.versions:
        return None
    scanned, borne = lock.versions[version], list_borne(lock, version)
    cases: dict[str, list[Case]] = defaultdict(list)
    for case in cell.cases:
        cases[case.architecture].append(case)
    places, reached = list_places(cell.cases), {place_of(case) for case in cell.cases}
    gaps = {name: find_gaps(cases[name], places) for name in borne}
    reasons = {name: explain_gap(cases[name]) for name, found in gaps.items() if len(found) == len(places)}
    unchecked, checked = {**scanned.unchecked, **reasons}, borne.keys() - reasons.keys()
    bearing = {name for name, found in borne.items() if found}
    popular = {*lock.popular} & (borne.keys() | scanned.unchecked.keys())
    # What stays in float32 shows in a narrower precision only.
    narrow = {
        name
        for name in checked
        if any(says_something(case) and case.precision is not Precision.FLOAT32 for case in cases[name])
    }
    sites = {name: [one for one in found if _is_site(one)] for name, found in borne.items()}
    kept = {name: [one for one in found if not _is_site(one)] for name, found in borne.items()}
    return Coverage(
        len(bearing & checked),
        len(bearing) + len(lock.unchecked_bearers(version)),
        dict(sorted(unchecked.items())),
        scanned.unreached,
        sites=_count(sites, checked),
        float32=_count(kept, narrow),
        popular=(len(popular & checked), len(popular)),
        cases=_count_places(gaps, len(places), len(scanned.unchecked)),
        partly={name: partial for name in sorted(checked) if (partial := _keep(gaps[name], reached))},
        left_out=tuple(place for place in places if place not in reached) if reached else (),
    )


def _count_places(gaps: Mapping[str, Mapping[Place, str]], places: int, unchecked: int) -> tuple[int, int]:
    """Returns how many of the places of architectures have a verdict, and how many there are."""
    return sum(places - len(found) for found in gaps.values()), places * (len(gaps) + unchecked)


def _keep(gaps: Mapping[Place, str], reached: Collection[Place]) -> Mapping[Place, str]:
    return {place: why for place, why in gaps.items() if place in reached}


def _count(borne: Mapping[str, Collection[str]], checked: Collection[str]) -> tuple[int, int]:
    """Returns how much of what is borne those `checked` have, and how much there is."""
    had = {one for name in checked for one in borne[name]}
    return len(had), len({one for found in borne.values() for one in found})


def _is_site(borne: str) -> bool:
    """Returns whether it is a buffer site, `ModuleClass.name`, and not a module class."""
    return "." in borne


def select_covering(lock: Lock, version: str = "") -> tuple[str, ...]:
    """Returns a small set of architectures with all that `list_borne` says of a version, sorted.

    For a version that was not scanned, it has all that any scanned version has.
    """
    borne: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for scanned in [version] if version in lock.versions else lock.versions:
        for name, found in list_borne(lock, scanned).items():
            borne[name] |= {(scanned, one) for one in found}
    return cover(borne, lambda name: rank_head(name.partition(":")[2]))


def list_borne(lock: Lock, version: str) -> dict[str, frozenset[str]]:
    """Returns what each architecture is measured for in a version: buffer sites, and module classes kept in float32."""
    known = {one.id: one for one in lock.architectures}
    return {
        name: frozenset(known[name].sites_in(version))
        | {site.partition(".")[0] for site in known[name].float32_in(version)}
        for name in lock.measured(version)
    }

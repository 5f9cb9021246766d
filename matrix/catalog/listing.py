"""PURE. The catalog as `python -m matrix list` shows it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from matrix.catalog.lockfile import Lock
from matrix.model import Architecture
from matrix.text import make_printable

OWNERS_SHOWN: Final = 3
"""How many module classes a line names the buffers of; --json has them all."""


@dataclass(frozen=True)
class Shown:
    """One architecture: what it stands for, the dtypes of its buffer sites, and the versions of transformers with it.

    `first` and `last` are empty for those that are measured in every version, because they bear no buffer.
    """

    id: str
    family: str
    sites: dict[str, str]
    first: str
    last: str
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LookedAt:
    """A version of transformers: how many architectures with buffers it has and how many can be checked, and why not the others.

    `unchecked`, `broken` and `unreached` are those of the lock (`matrix.catalog.lockfile.Looked`).
    """

    checked: int
    discovered: int
    unchecked: Mapping[str, str]
    broken: Mapping[str, str]
    unreached: tuple[str, ...]


def looked_at(lock: Lock, transformers: str = "") -> dict[str, LookedAt]:
    """What discovery says of that version, which it must have looked at; of every version when that is none."""
    return {
        version: LookedAt(*lock.checked(version), looked.unchecked, looked.broken, looked.unreached)
        for version, looked in lock.versions.items()
        if transformers in ("", version)
    }


def notes(lock: Lock, transformers: str = "") -> Iterator[str]:
    """What stands below the table: which versions it is about, and what a version that is asked for has beside."""
    if not transformers:
        yield f"looked at in transformers {', '.join(lock.versions)}"
        yield "buffer sites are those of the newest of them that has the architecture"
        return
    looked = looked_at(lock, transformers)[transformers]
    yield f"transformers {transformers}: {looked.checked} of {looked.discovered} architectures with buffers can be checked"
    yield from _reasons("not checked", looked.unchecked)
    yield from _reasons("a plain load fails", looked.broken)
    if looked.unreached:
        yield _unreached(looked.unreached)


def _reasons(words: str, reasons: Mapping[str, str]) -> Iterator[str]:
    for name, why in reasons.items():
        yield make_printable(f"{words}: {name}: {' '.join(why.split())}")


def _unreached(sites: Sequence[str]) -> str:
    owners = by_owner(sites)
    shown = [*owners[:OWNERS_SHOWN], "...; --json has all of them"] if len(owners) > OWNERS_SHOWN else owners
    count = f"{len(sites)} buffer{'s' if len(sites) != 1 else ''}"
    return f"{count} that the sources register and no model there has: {', '.join(shown)}"


def by_owner(sites: Iterable[str]) -> list[str]:
    """One entry per module class: `Router.{bias, scale}`."""
    owners: dict[str, list[str]] = {}
    for site in sites:
        owner, _, name = site.partition(".")
        owners.setdefault(owner, []).append(name)
    return [
        f"{owner}.{names[0]}" if len(names) == 1 else f"{owner}.{{{', '.join(names)}}}"
        for owner, names in owners.items()
    ]


def listed(
    catalog: Iterable[Architecture], lock: Lock, *, family: str = "", site: str = "", transformers: str = ""
) -> tuple[Shown, ...]:
    """What of `catalog` is of that family, has a site that the glob matches, and bears it in that version."""
    known = {one.id: one for one in lock.architectures}
    bearing = set(lock.bearing(transformers)) if transformers else set(known)
    shown = []
    for entry in catalog:
        locked = known.get(entry.id)
        sites = dict(locked.sites_in(transformers)) if locked else {}
        span = (locked.first, locked.last) if locked else ("", "")
        shown.append(Shown(entry.id, entry.family, sites, *span, entry.config))
    return tuple(
        one
        for one in shown
        if family in ("", one.family)
        and (not site or any(fnmatchcase(name.lower(), site.lower()) for name in one.sites))
        and (not one.first or one.id in bearing)
    )

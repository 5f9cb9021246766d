"""PURE. Filters and describes the catalog for `python -m matrix list`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from matrix.catalog.lock import Lock
from matrix.errors import UnknownNameError
from matrix.model import Architecture
from matrix.text import make_printable

OWNERS_SHOWN: Final = 3
"""How many module classes a line names the buffers of; --json has them all."""


@dataclass(frozen=True)
class ListedArchitecture:
    """One architecture: its family, the dtypes of its buffer sites, and the versions of transformers with it.

    `float32` are the sites of tensors that a list of the release keeps in float32.
    `first` and `last` are empty for those that are measured in every version, because nothing in them was discovered.
    """

    id: str
    family: str
    sites: dict[str, str]
    first: str
    last: str
    config: Mapping[str, Any] = field(default_factory=dict)
    float32: tuple[str, ...] = ()
    popular: bool = False


@dataclass(frozen=True)
class VersionSummary:
    """A version of transformers: how many architectures of the catalog it has, how many can be checked, and why not the others.

    `popular` are the same two numbers of the popular ones, of which some are among the others too. `unchecked`, `broken` and `unreached` are those of the lock (`matrix.catalog.lock.ScannedVersion`).
    """

    checked: int
    discovered: int
    unchecked: Mapping[str, str]
    broken: Mapping[str, str]
    unreached: tuple[str, ...]
    popular: tuple[int, int] = (0, 0)


def summarize_versions(lock: Lock, transformers: str = "") -> dict[str, VersionSummary]:
    """Returns what discovery found in that version, which it must have scanned; in every version when that is empty."""
    return {
        version: VersionSummary(
            *lock.checked(version), looked.unchecked, looked.broken, looked.unreached, lock.checked_popular(version)
        )
        for version, looked in lock.versions.items()
        if transformers in ("", version)
    }


def describe_versions(lock: Lock, transformers: str = "") -> Iterator[str]:
    """Yields the lines below the table: which versions it is about, and what else a version that is asked for has."""
    if not transformers:
        bearers = {one.id for one in lock.architectures if one.bears}
        both = f"{len(lock.popular)} popular ones, {len(bearers.intersection(lock.popular))} of them among the former"
        yield f"{len(bearers)} architectures with buffers or a float32 list, {both}"
        yield f"scanned versions of transformers: {', '.join(lock.versions)}"
        yield "buffer sites are those of the newest scanned version that has the architecture"
        return
    looked = summarize_versions(lock, transformers)[transformers]
    yield describe_version(lock, transformers)
    yield from _reasons("not checked", looked.unchecked)
    yield from _reasons("a plain load fails", looked.broken)
    if looked.unreached:
        yield _unreached(looked.unreached)


def describe_version(lock: Lock, transformers: str) -> str:
    """Returns how many architectures of that version can be checked, and how many popular ones, in words."""
    (checked, discovered), (popular, all_popular) = lock.checked(transformers), lock.checked_popular(transformers)
    words = f"transformers {transformers}: {checked} of {discovered} architectures can be checked"
    return f"{words}, and {popular} of {all_popular} popular ones"


def _reasons(words: str, reasons: Mapping[str, str]) -> Iterator[str]:
    for name, why in reasons.items():
        yield make_printable(f"{words}: {name}: {' '.join(why.split())}")


def _unreached(sites: Sequence[str]) -> str:
    owners = group_by_owner(sites)
    shown = [*owners[:OWNERS_SHOWN], "... (--json lists all)"] if len(owners) > OWNERS_SHOWN else owners
    count = f"{len(sites)} buffer{'s' if len(sites) != 1 else ''}"
    return f"{count} registered in the sources but found in no model: {', '.join(shown)}"


def group_by_owner(sites: Iterable[str]) -> list[str]:
    """Returns one entry per module class: `Router.{bias, scale}`."""
    owners: dict[str, list[str]] = {}
    for site in sites:
        owner, _, name = site.partition(".")
        owners.setdefault(owner, []).append(name)
    return [
        f"{owner}.{names[0]}" if len(names) == 1 else f"{owner}.{{{', '.join(names)}}}"
        for owner, names in owners.items()
    ]


def require_site(glob: str, lock: Lock) -> None:
    """Raises UnknownNameError where `glob` matches no buffer site of any architecture in any version."""
    known = sorted({site for one in lock.architectures for sites in one.sites.values() for site in sites})
    if not any(_matches(site, glob) for site in known):
        raise UnknownNameError("buffer site", [glob], known, "zero3 list")


def _matches(site: str, glob: str) -> bool:
    return fnmatchcase(site.lower(), glob.lower())


def filter_catalog(
    catalog: Iterable[Architecture], lock: Lock, *, family: str = "", site: str = "", transformers: str = ""
) -> tuple[ListedArchitecture, ...]:
    """Returns the architectures of `catalog` with that family and a site that the glob matches, in that version."""
    known = {one.id: one for one in lock.architectures}
    measured = set(lock.measured(transformers)) if transformers else set(known)
    shown = []
    for entry in catalog:
        locked = known.get(entry.id)
        sites = dict(locked.sites_in(transformers)) if locked else {}
        span = (locked.first, locked.last) if locked else ("", "")
        kept = locked.float32_in(transformers) if locked else ()
        shown.append(
            ListedArchitecture(entry.id, entry.family, sites, *span, entry.config, kept, entry.id in lock.popular)
        )
    return tuple(
        one
        for one in shown
        if family in ("", one.family)
        and (not site or any(_matches(name, site) for name in one.sites))
        and (not one.first or one.id in measured)
    )

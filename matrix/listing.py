"""PURE. The catalog as `python -m matrix list` shows it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from matrix.lock import Lock
from matrix.model import Architecture


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

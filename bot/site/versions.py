"""PURE. Versions in their order, whatever a record calls a version."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from packaging.version import InvalidVersion, Version


def age(version: str) -> tuple[bool, Version | str]:
    """Sorts versions, the oldest first; what is no version comes before all of them."""
    try:
        return True, Version(version)
    except InvalidVersion:
        return False, version


def ordered(versions: Iterable[str]) -> tuple[str, ...]:
    """Each of the versions once, the oldest first."""
    return tuple(sorted(set(versions), key=age))


def steps(versions: Sequence[str], one: str, other: str) -> int:
    """How many of `versions`, which are in order, lie from `one` to `other`."""
    keys = [age(version) for version in versions]
    return abs(bisect_left(keys, age(one)) - bisect_left(keys, age(other)))

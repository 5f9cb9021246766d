"""PURE. Versions in their order, whatever a record calls a version."""

from collections.abc import Iterable

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

"""PURE. Sorts versions, whatever a record calls a version."""

from collections.abc import Iterable

from packaging.version import InvalidVersion, Version


def age(version: str) -> tuple[bool, Version | str]:
    """Returns a sort key for versions, the oldest first; what is not a version comes before all of them."""
    try:
        return True, Version(version)
    except InvalidVersion:
        return False, version


def sort_versions(versions: Iterable[str]) -> tuple[str, ...]:
    """Returns each of the versions once, the oldest first."""
    return tuple(sorted(set(versions), key=age))

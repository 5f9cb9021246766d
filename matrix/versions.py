"""Versions in their order, whatever a record or a pin calls a version.

PURE: no input or output.
"""

from collections.abc import Iterable
from functools import lru_cache

from packaging.version import InvalidVersion, Version


def parse_version(text: str) -> Version | None:
    """Parses a version; returns None for anything else, such as a branch."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


@lru_cache(1024)  # few versions, sorted time and again
def version_key(text: str) -> tuple[bool, Version, str]:
    """Returns a sort key: versions from old to new, after anything that is not a version, which is sorted as text."""
    version = parse_version(text)
    return (True, version, "") if version else (False, Version("0"), text)


def sort_versions(versions: Iterable[str]) -> tuple[str, ...]:
    """Returns each of the versions once, the oldest first."""
    return tuple(sorted(sorted(set(versions)), key=version_key))


def is_release(text: str) -> bool:
    """Returns whether `text` is a version that an index can have: not a development version, and without a local part."""
    version = parse_version(text)
    return version is not None and not version.is_devrelease and version.local is None

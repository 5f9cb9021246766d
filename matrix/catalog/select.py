"""Selects architectures by name.

PURE: no input or output.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from matrix.errors import UnknownNameError
from matrix.model import Architecture


def select(catalog: Sequence[Architecture], globs: Sequence[str]) -> tuple[Architecture, ...]:
    """Returns the architectures whose id, model type or class name matches one of `globs`; all of them without any.

    Raises UnknownNameError with close matches for every glob that matches nothing.
    """

    def matches(architecture: Architecture, glob: str) -> bool:
        names = (architecture.id, architecture.model_type, architecture.class_name)
        return any(fnmatchcase(name.lower(), glob.lower()) for name in names)

    unmatched = [glob for glob in globs if not any(matches(architecture, glob) for architecture in catalog)]
    if unmatched:
        raise UnknownNameError("architecture", unmatched, [architecture.id for architecture in catalog], "zero3 list")
    return tuple(a for a in catalog if not globs or any(matches(a, glob) for glob in globs))

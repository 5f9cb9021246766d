"""The checks, one file each: what is done with a model, and its words for texts. A new check is a new file, no more.

A file has `CHECK`, a `matrix.check_protocol.CheckDescription`. The name of the file is the name of the check in records
and on the command line. It imports the standard library and that module only, torch and the rest inside `run`: host and
probe read it.
"""

import importlib
from collections.abc import Mapping
from functools import lru_cache
from graphlib import TopologicalSorter
from pkgutil import iter_modules
from typing import Final

from matrix.check_protocol import CheckDescription
from matrix.model import CaseKey, Check, Loader


def _read_folder() -> Mapping[Check, CheckDescription]:
    """Returns every check of this folder, after those that run before it; otherwise by name.

    Raises graphlib.CycleError, and ValueError if one comes after a check that is not there.
    """
    names = sorted(module.name for module in iter_modules(__path__))
    found = {name: importlib.import_module(f"{__name__}.{name}").CHECK for name in names}
    ordered = TopologicalSorter({name: found[name].after for name in names}).static_order()
    return {Check(name): found[name] for name in ordered}


CHECKS: Final = _read_folder()
"""Every check and its description, in the order in which they run and are shown."""

NEEDED_FOR_SAFE: Final = frozenset(check for check, description in CHECKS.items() if description.needed_for_safe)
"""The checks without which no versions are called safe."""

LOADERS_AND_CHECKS: Final = tuple((loader, check) for loader in Loader for check in CHECKS)
"""The cases of an architecture in an environment, in the order in which they are shown."""


@lru_cache(10_000)  # few architectures, asked for in each environment
def case_keys(architecture: str) -> tuple[CaseKey, ...]:
    """Returns the keys of all cases of an architecture in one environment."""
    return tuple(CaseKey(architecture, loader, check) for loader, check in LOADERS_AND_CHECKS)

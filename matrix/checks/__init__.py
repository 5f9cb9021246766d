"""The checks, one file each: what is done with a model, and its words for texts. A new check is a new file, no more.

A file has `CHECK`, a `matrix.check_protocol.CheckDescription`. The name of the file is the name of the check in records
and on the command line. It imports the standard library and that module only, torch and the rest inside `run`: host and
probe read it.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from graphlib import TopologicalSorter
from pkgutil import iter_modules
from typing import Final

from matrix.check_protocol import CheckDescription, Trial
from matrix.model import CaseKey, Check, Configuration, Loader, Precision, Variant


def _read_folder() -> Mapping[Check, CheckDescription]:
    """Returns every check of this folder, after those that run before it; otherwise by name. Those that share a model come first.

    Raises graphlib.CycleError, and ValueError if one comes after a check that is not there.
    """
    names = sorted(module.name for module in iter_modules(__path__))
    found = {name: importlib.import_module(f"{__name__}.{name}").CHECK for name in names}
    ordered = TopologicalSorter({name: found[name].after for name in names}).static_order()
    shared_first = sorted(ordered, key=lambda name: found[name].trial is not None)
    return {Check(name): found[name] for name in shared_first}


CHECKS: Final = _read_folder()
"""Every check and its description, in the order in which they run and are shown."""


def group_checks(checks: Sequence[Check]) -> tuple[tuple[Check, ...], ...]:
    """Returns the checks that share a model together, and each that makes models of its own by itself."""
    sharing = tuple(check for check in checks if CHECKS[check].trial is None)
    return tuple(filter(None, (sharing, *((check,) for check in checks if CHECKS[check].trial))))


def get_trial(check: Check) -> Trial:
    """Returns how a check makes models of its own; raises ValueError for one that does not."""
    trial = CHECKS[check].trial
    if trial is None:
        raise ValueError(f"{check} makes no models of its own")
    return trial


NEEDED_FOR_SAFE: Final = frozenset(check for check, description in CHECKS.items() if description.needed_for_safe)
"""The checks without which no versions are called safe."""


@dataclass(frozen=True)
class Axes:
    """How an architecture is measured: every loader, check, precision and configuration with every other."""

    loaders: tuple[Loader, ...] = tuple(Loader)
    checks: tuple[Check, ...] = tuple(check for check in CHECKS if check in NEEDED_FOR_SAFE)
    precisions: tuple[Precision, ...] = (Precision.FLOAT32, Precision.BF16)
    configurations: tuple[Configuration, ...] = (Configuration.PLAIN,)
    mixed: tuple[Precision, ...] = (Precision.BF16, Precision.FP16)
    """The precisions that `mixed_dtypes` is measured in. float32 has nothing to mix."""

    @property
    def trainings(self) -> tuple[tuple[Precision, Configuration], ...]:
        """The precisions, each with its configurations."""
        every = ((precision, one) for one in self.configurations for precision in self.precisions)
        mixes = Configuration.MIXED_DTYPES
        return tuple((precision, one) for precision, one in every if one is not mixes or precision in self.mixed)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """All ways to measure one architecture, in the order in which they are shown."""
        return tuple(
            Variant(loader, check, *training)
            for training in self.trainings
            for loader in self.loaders
            for check in self.checks
        )


DEFAULT: Final = Axes()
"""What is measured where nothing else is asked for: as `environments.toml` says of the default set."""

VARIANTS: Final = Axes(checks=tuple(CHECKS), precisions=tuple(Precision), configurations=tuple(Configuration)).variants
"""All ways to measure an architecture, in the order in which they are shown."""


def find_variants(keys: Iterable[CaseKey]) -> tuple[Variant, ...]:
    """Returns how any of these cases is measured, in the order in which it is shown."""
    found = {key.variant for key in keys}
    return tuple(variant for variant in VARIANTS if variant in found)


@lru_cache(10_000)  # few architectures, asked for in each environment
def case_keys(architecture: str, variants: tuple[Variant, ...] = VARIANTS) -> tuple[CaseKey, ...]:
    """Returns the keys of the cases of an architecture in one environment, one for each variant."""
    return tuple(CaseKey(architecture, *variant) for variant in variants)

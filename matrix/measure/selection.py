"""Chooses what is measured where nothing is named: everything on GPUs, on a CPU what takes minutes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from matrix.catalog.catalog import load_catalog, read_added
from matrix.catalog.coverage import select_covering
from matrix.catalog.lockfile import read_lock
from matrix.catalog.select import select
from matrix.checks import DEFAULT
from matrix.command_line.output import say
from matrix.environments.spec import Environment
from matrix.model import Architecture, Device, Precision

PARTS: Final = ("auto", "full", "sites")
"""Which part of the catalog is measured where no architecture is named."""


@dataclass(frozen=True)
class Effort:
    """How much is measured of an environment: in which `precisions`, how often a failing case is run again.

    `sparing` says whether the fixed loader is measured only where `measure_sparingly` does.
    """

    precisions: tuple[Precision, ...] = DEFAULT.precisions
    confirmations: int = 2
    sparing: bool = False


def choose_effort(environment: Environment | None, newest: Environment, device: Device) -> Effort:
    """Returns the effort for an environment, None for one that the user has installed.

    On a CPU the default set does without some reruns and much of the fixed loader, and its older pairs without float32:
    what is not loaded shows in bf16 too, and so does what is rounded.
    """
    if device is Device.CUDA or environment is None or "default" not in environment.sets:
        return Effort()
    return Effort(DEFAULT.precisions if environment == newest else (Precision.BF16,), 1, sparing=True)


def choose_architectures(
    globs: Sequence[str], part: str, device: Device, transformers: str = ""
) -> tuple[Architecture, ...]:
    """Returns what `globs` name, else that `part` of the catalog; says on stderr what the part leaves out.

    The part `sites` is that of a version of transformers, where it is known. Raises UnknownNameError.
    """
    catalog = load_catalog()
    if globs or part == "full" or (part == "auto" and device is Device.CUDA):
        return select(catalog, globs)
    lock = read_lock()
    left_out = {locked.id for locked in lock.architectures} - {*select_covering(lock, transformers), *read_added()}
    say(
        f"measuring {len(catalog) - len(left_out)} architectures, at least one for each buffer site and for each module "
        f"class that a float32 list names; {len(left_out)} others are left out (--catalog full measures them too)",
        err=True,
    )
    return tuple(architecture for architecture in catalog if architecture.id not in left_out)

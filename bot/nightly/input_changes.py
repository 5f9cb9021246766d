"""Finds out whether a record was made from the same inputs that would be measured now.

PURE: no input or output.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet

from matrix.environments.packages import installed
from matrix.environments.pins import is_version
from matrix.environments.spec import Environment
from matrix.model import Cell


@dataclass(frozen=True)
class Digests:
    """Digests of the catalog and of the code that measures, as records have them."""

    catalog: str
    probe: str


def find_input_changes(environment: Environment, header: Cell, digests: Digests) -> tuple[str, ...]:
    """Returns in words what changed since the cell of `header` was measured or tried; empty when nothing did."""
    return tuple(_changes(environment, header, digests))


def _changes(environment: Environment, header: Cell, digests: Digests) -> Iterator[str]:
    for package, pin in environment.pins.items():
        asked, found = environment.commits.get(package, pin), installed(header.environment, package)
        if asked != found:
            yield f"{package} was {found[:12]}, is now {asked[:12]}"
    if not _fits(environment.python, header.environment.python):
        yield f"python was {header.environment.python}, is now {environment.python}"
    if header.catalog != digests.catalog:
        yield "another catalog"
    if header.probe != digests.probe:
        yield "another probe"


def _fits(specifier: str, python: str) -> bool:
    """Returns whether `python` fits. A record of an interpreter that was never found has its specifier instead."""
    return python in SpecifierSet(specifier) if is_version(python) else python == specifier

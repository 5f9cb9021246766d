"""PURE. What a cell's verdicts depend on: whether a record was made from the same as would be measured now.

PURE: no input or output.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet

from matrix.environments.packages import installed
from matrix.environments.spec import Environment, is_version
from matrix.model import Cell


@dataclass(frozen=True)
class Digests:
    """What identifies the catalog and the code that measures, as records have them."""

    catalog: str
    probe: str


def find_input_changes(environment: Environment, header: Cell, digests: Digests) -> tuple[str, ...]:
    """What is another now than when the cell of `header` was measured or tried, in words; empty when nothing is."""
    return tuple(_changes(environment, header, digests))


def _changes(environment: Environment, header: Cell, digests: Digests) -> Iterator[str]:
    for package, pin in environment.pins.items():
        asked, found = environment.commits.get(package, pin), installed(header.environment, package)
        if asked != found:
            yield f"{package} was {found[:12]}, is {asked[:12]}"
    if not _fits(environment.python, header.environment.python):
        yield f"python was {header.environment.python}, is to be {environment.python}"
    if header.catalog != digests.catalog:
        yield "another catalog"
    if header.probe != digests.probe:
        yield "another probe"


def _fits(specifier: str, python: str) -> bool:
    """Whether an interpreter is one that would be asked for now; one that was never found is told by its specifier."""
    return python in SpecifierSet(specifier) if is_version(python) else python == specifier

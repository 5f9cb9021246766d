"""PURE. Architectures in lines of a table."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from bot.site.data import urls
from bot.site.data.links import find_worst, get_verdict
from bot.site.data.site_index import SiteIndex
from bot.text import Code, clip
from matrix.checks import case_keys
from matrix.history.snapshot import Reading
from matrix.model import CaseKey, Check, Loader
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class CaseChip:
    """A case in a table; `verdict` is None where it is untested."""

    loader: Loader
    check: Check
    trained_in: str
    verdict: Verdict | None
    page: str


@dataclass(frozen=True)
class CaseColumn:
    """The cases of an architecture with a loader, in what it is `trained_in`, one per check."""

    loader: Loader
    trained_in: str
    cells: tuple[CaseChip, ...]

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks of its cells."""
        return tuple(cell.check for cell in self.cells)


@dataclass(frozen=True)
class ArchitectureLine:
    """An architecture in an environment, with all its cases; `anchor` names the first line of a group, or nothing.

    The `columns` are the same for all architectures of an environment.
    """

    anchor: str
    architecture: Code
    family: Code
    page: str
    worst: Verdict | None
    columns: tuple[CaseColumn, ...]

    @property
    def verdicts(self) -> tuple[Verdict | None, ...]:
        """The verdicts of its cases."""
        return tuple(cell.verdict for column in self.columns for cell in column.cells)


def list_families(lines: Iterable[ArchitectureLine]) -> tuple[Code, ...]:
    """Returns the families of the architectures, each once."""
    return tuple(dict.fromkeys(line.family for line in lines))


def build_architecture_line(site: SiteIndex, reading: Reading, architecture: str) -> ArchitectureLine:
    """Returns an architecture in the environment of `reading`."""
    columns = tuple(_columns(reading, case_keys(architecture, site.variants_of(reading))))
    return ArchitectureLine(
        anchor="",
        architecture=clip(architecture),
        family=site.family(architecture),
        page=urls.architecture(architecture),
        worst=find_worst([cell.verdict for column in columns for cell in column.cells]),
        columns=columns,
    )


def _columns(reading: Reading, keys: Iterable[CaseKey]) -> Iterator[CaseColumn]:
    for (trained_in, loader), there in groupby(keys, key=lambda key: (key.variant.trained_in, key.loader)):
        yield CaseColumn(loader, trained_in, tuple(build_cell(reading, key) for key in there))


def add_anchors(
    lines: Iterable[ArchitectureLine], group: Callable[[ArchitectureLine], str]
) -> Iterator[ArchitectureLine]:
    """Yields the lines, the first of each `group` with that name as its anchor."""
    seen: set[str] = set()
    for one in lines:
        name = group(one)
        yield one if name in seen else replace(one, anchor=name)
        seen.add(name)


def build_cell(reading: Reading, key: CaseKey) -> CaseChip:
    """Returns a case of the environment of `reading`, measured or not; its page is empty where there is none."""
    verdict = get_verdict(reading, key)
    page = urls.case(reading.cell.environment.id, key) if verdict else ""
    return CaseChip(key.loader, key.check, key.variant.trained_in, verdict, page)

"""PURE. The page of an architecture."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Final

from bot.site.data import urls
from bot.site.data.links import get_verdict, link_failure
from bot.site.data.page import Page, PageKind
from bot.site.data.site_index import SiteIndex
from bot.site.data.views import EnvironmentLink, FailureLink, Link
from bot.site.failures.group import UpstreamFailure
from bot.site.parts.architecture_lines import CaseChip, build_cell
from bot.site.parts.version_ranges import VersionRange, find_version_ranges
from bot.text import Code, clip
from matrix.advice.safety import Answer, Tried, answer_pairs, find_tried
from matrix.advice.safety_text import describe_answers
from matrix.checks import case_keys
from matrix.history.snapshot import Reading
from matrix.model import Check, Device, Loader
from matrix.verdicts import Verdict

_Edge = tuple[Loader, str]
"""A loader, and the page of an environment."""


@dataclass(frozen=True)
class VerdictCount:
    """How often a verdict occurs."""

    verdict: Verdict
    cases: int


@dataclass(frozen=True)
class GridLine:
    """The cases of an environment in what it is `trained_in`, one per check."""

    trained_in: str
    cells: tuple[CaseChip, ...]


@dataclass(frozen=True)
class GridCell:
    """An environment in an architecture's grid; `edge` says of what it is the first, as a version range has it."""

    environment: EnvironmentLink
    lines: tuple[GridLine, ...]
    edge: str


@dataclass(frozen=True)
class GridRow:
    """The environments of a transformers version, for each deepspeed of the grid."""

    transformers: Code
    places: tuple[tuple[GridCell, ...], ...]


@dataclass(frozen=True)
class Grid:
    """An architecture on one device with one loader: transformers down, deepspeed across, the newest first."""

    device: Device
    loader: Loader
    deepspeeds: tuple[Code, ...]
    rows: tuple[GridRow, ...]

    @property
    def checks(self) -> tuple[Check, ...]:
        """What any of its environments was measured with."""
        cells = [cell for row in self.rows for place in row.places for cell in place]
        return tuple(dict.fromkeys(chip.check for cell in cells for line in cell.lines for chip in line.cells))

    @property
    def trainings(self) -> tuple[str, ...]:
        """What any of its environments was measured in."""
        cells = [cell for row in self.rows for place in row.places for cell in place]
        return tuple(dict.fromkeys(line.trained_in for cell in cells for line in cell.lines))


@dataclass(frozen=True)
class Sites:
    """Buffer sites of an architecture; not `complete` when they are only those that findings name."""

    complete: bool
    names: tuple[Code, ...]


@dataclass(frozen=True)
class SafePair:
    """An environment whose pair is safe, and what that rests on."""

    environment: EnvironmentLink
    rests_on: str


@dataclass(frozen=True)
class NearestSafe:
    """An environment in which not everything is right, and the nearest in which it is; None when there is none."""

    environment: EnvironmentLink
    nearest: EnvironmentLink | None


@dataclass(frozen=True, kw_only=True)
class ArchitecturePage(Page):
    """One architecture in all environments. `safe` are those that `python -m matrix advise` calls safe with the
    stock loader, the newest first; `advice` is for the other ones that were measured.
    """

    architecture: Code
    family: Code
    counts: tuple[VerdictCount, ...]
    version_ranges: tuple[VersionRange, ...]
    grids: tuple[Grid, ...]
    sites: Sites
    failures: tuple[FailureLink, ...]
    issues: tuple[str, ...]
    safe: tuple[SafePair, ...]
    advice: tuple[NearestSafe, ...]

    @property
    def by_case(self) -> tuple[tuple[VersionRange, ...], ...]:
        """The version ranges of each case together."""

        def case(one: VersionRange) -> tuple[str, ...]:
            return one.device, one.loader, one.checks

        return tuple(tuple(group) for _, group in groupby(self.version_ranges, key=case))


def build(site: SiteIndex, name: str) -> ArchitecturePage:
    """Builds the page of an architecture."""
    ranges = find_version_ranges(site, name)
    good, others = _judged(site, name)
    safe = {reading.cell.environment.id for reading, _ in good}
    verdicts = Counter(get_verdict(reading, key) for reading in site.readings for key in case_keys(name, site.variants))
    found = _failures(site, name)
    return ArchitecturePage(
        path=urls.architecture(name),
        title=clip(name),
        crumbs=(Link("Architectures", urls.ARCHITECTURES),),
        night=site.night,
        architecture=clip(name),
        family=site.family(name),
        counts=tuple(VerdictCount(verdict, verdicts[verdict]) for verdict in Verdict if verdicts[verdict]),
        version_ranges=ranges,
        grids=tuple(_grids(site, name, ranges)),
        sites=_sites(site, name),
        failures=tuple(link_failure(failure) for failure in found),
        issues=tuple(dict.fromkeys(issue for failure in found for known in failure.known for issue in known.issues)),
        safe=tuple(SafePair(site.of(reading), describe_answers(tried, Loader.STOCK)) for reading, tried in good),
        advice=tuple(_advice(site, reading, safe) for reading in others),
    )


def _judged(site: SiteIndex, name: str) -> tuple[list[tuple[Reading, Tried]], list[Reading]]:
    """The environments whose pair is safe for an architecture with the stock loader, and the others that measured it."""
    tried = find_tried(site.readings, name)
    known, measured = answer_pairs(tried, Loader.STOCK), {one.environment: one for one in tried if one.verdicts}
    found = [reading for reading in site.readings if reading.cell.environment.id in measured]
    good = [(one, measured[one.cell.environment.id]) for one in found if known[one.pair] is Answer.SAFE]
    return good, [reading for reading in found if known[reading.pair] is not Answer.SAFE]


def _failures(site: SiteIndex, name: str) -> list[UpstreamFailure]:
    """The failures that hit an architecture, in their order."""
    pages = {
        link.page
        for reading in site.readings
        for key in case_keys(name, site.variants)
        for link in site.failures_of.get((reading.cell.environment.id, key), ())
    }
    return [failure for failure in site.failures if urls.finding(failure.slug) in pages]


def _sites(site: SiteIndex, name: str) -> Sites:
    if name in site.sites:
        return Sites(complete=True, names=tuple(clip(one) for one in site.sites[name]))
    named = {
        finding.site
        for reading in site.readings
        for key in case_keys(name, site.variants)
        if key in reading.cases
        for finding in reading.cases[key].case.findings
        if finding.what != "parameter"
    }
    return Sites(complete=False, names=tuple(clip(one) for one in sorted(named)))


def _advice(site: SiteIndex, reading: Reading, safe: Container[str]) -> NearestSafe:
    """Where to go from the environment of `reading`; `safe` are ids."""
    near = site.neighbours[reading.cell.environment.id]
    nearest = next((one for one in near if one.cell.environment.id in safe), None)
    return NearestSafe(site.of(reading), site.of(nearest) if nearest else None)


def _grids(site: SiteIndex, name: str, ranges: Sequence[VersionRange]) -> Iterator[Grid]:
    edges = _edges(ranges)
    for device in site.devices:
        crossed = site.crossed[device]
        for loader in Loader:
            rows = tuple(
                GridRow(
                    clip(version),
                    tuple(
                        tuple(_cell(site, reading, (name, loader), edges) for reading in readings)
                        for readings in places
                    ),
                )
                for version, places in crossed.rows
            )
            yield Grid(device, loader, tuple(map(clip, crossed.deepspeeds)), rows)


def _cell(
    site: SiteIndex, reading: Reading, row: tuple[str, Loader], edges: Mapping[_Edge, tuple[str, ...]]
) -> GridCell:
    link, (name, loader) = site.of(reading), row
    keys = [key for key in case_keys(name, site.variants_of(reading)) if key.loader is loader]
    lines = tuple(
        GridLine(trained_in, tuple(build_cell(reading, key) for key in there))
        for trained_in, there in groupby(keys, key=lambda key: key.variant.trained_in)
    )
    return GridCell(link, lines, ", ".join(edges.get((loader, link.page), ())))


def _edges(ranges: Iterable[VersionRange]) -> Mapping[_Edge, tuple[str, ...]]:
    """Returns what begins in each place: `load in float32: right from this transformers version on`."""
    found: dict[_Edge, tuple[str, ...]] = {}
    for one in ranges:
        for before, span in pairwise(one.spans):
            for page in span.begins if span.right != before.right else ():
                key = one.loader, page
                words = f"{one.checks}: {span.outcome} from this {one.axis} version on"
                found[key] = (*found.get(key, ()), words)
    return found


PAGE: Final = PageKind(
    address="architectures/<architecture>.html",
    says="one architecture everywhere: version ranges, safe pairs, grid, buffer sites, failures",
    place=35,
    build=build,
    each=attrgetter("architectures"),
)

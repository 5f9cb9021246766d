"""PURE. The pages of architectures, and the list of them."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from bot.site.data import urls as links
from bot.site.data.index import ALL, Atlas, failure_link, verdict_of
from bot.site.data.page_types import ArchitecturePage, ArchitecturesPage, initial
from bot.site.data.views import Advice, Frontier, Grid, GridCell, GridRow, Link, Sites, VerdictCount
from bot.site.failures.group import UpstreamFailure
from bot.site.pages.environments import anchored, cell, line
from bot.site.pages.version_ranges import becomes, frontiers
from bot.text import clip, count
from matrix.advice.safety import Answer, answers, tried_in
from matrix.history.snapshot import Reading
from matrix.model import CaseKey, Check, Loader, keys_of
from matrix.verdicts import Verdict

_Edge = tuple[Loader, str]
"""A loader, and the page of an environment."""


def architectures_page(atlas: Atlas) -> ArchitecturesPage:
    """The list of all architectures, as the newest measured environment has them."""
    newest = next((reading for reading in atlas.readings if reading.cases), None)
    lines = [line(atlas, newest, name) for name in atlas.architectures] if newest else []
    return ArchitecturesPage(
        path=links.ARCHITECTURES,
        title=count(len(atlas.architectures), "architecture"),
        crumbs=(),
        night=atlas.night,
        environment=atlas.of(newest) if newest else None,
        architectures=tuple(anchored(lines, lambda one: initial(one.architecture))),
    )


def architecture_pages(atlas: Atlas, part: slice = ALL) -> Iterator[ArchitecturePage]:
    """A page for each architecture, or only for a `part` of them."""
    return (_page(atlas, name) for name in atlas.architectures[part])


def _page(atlas: Atlas, name: str) -> ArchitecturePage:
    turns = frontiers(atlas, name)
    good, others = _judged(atlas, name)
    safe = {reading.cell.environment.id for reading in good}
    verdicts = Counter(verdict_of(reading, key) for reading in atlas.readings for key in keys_of(name))
    found = _failures(atlas, name)
    return ArchitecturePage(
        path=links.architecture(name),
        title=clip(name),
        crumbs=(Link("Architectures", links.ARCHITECTURES),),
        night=atlas.night,
        architecture=clip(name),
        family=atlas.family(name),
        counts=tuple(VerdictCount(verdict, verdicts[verdict]) for verdict in Verdict if verdicts[verdict]),
        frontiers=turns,
        grids=tuple(_grids(atlas, name, turns)),
        sites=_sites(atlas, name),
        failures=tuple(failure_link(failure) for failure in found),
        issues=tuple(dict.fromkeys(issue for failure in found for known in failure.known for issue in known.issues)),
        safe=tuple(atlas.of(reading) for reading in good),
        advice=tuple(_advice(atlas, reading, safe) for reading in others),
    )


def _judged(atlas: Atlas, name: str) -> tuple[list[Reading], list[Reading]]:
    """The environments whose pair is safe for an architecture with the stock loader, and the others that measured it."""
    tried = tried_in(atlas.readings, name)
    told, measured = answers(tried, Loader.STOCK), {one.environment for one in tried if one.verdicts}
    found = [reading for reading in atlas.readings if reading.cell.environment.id in measured]
    good = [reading for reading in found if told[reading.pair] is Answer.SAFE]
    return good, [reading for reading in found if told[reading.pair] is not Answer.SAFE]


def _failures(atlas: Atlas, name: str) -> list[UpstreamFailure]:
    """The failures that hit an architecture, in their order."""
    pages = {
        link.page
        for reading in atlas.readings
        for key in keys_of(name)
        for link in atlas.failures_of.get((reading.cell.environment.id, key), ())
    }
    return [failure for failure in atlas.failures if links.finding(failure.slug) in pages]


def _sites(atlas: Atlas, name: str) -> Sites:
    if name in atlas.sites:
        return Sites(complete=True, names=tuple(clip(site) for site in atlas.sites[name]))
    named = {
        finding.site
        for reading in atlas.readings
        for key in keys_of(name)
        if key in reading.cases
        for finding in reading.cases[key].case.findings
        if finding.what != "parameter"
    }
    return Sites(complete=False, names=tuple(clip(site) for site in sorted(named)))


def _advice(atlas: Atlas, reading: Reading, safe: Container[str]) -> Advice:
    """Where to go from the environment of `reading`; `safe` are ids."""
    near = atlas.neighbours[reading.cell.environment.id]
    nearest = next((one for one in near if one.cell.environment.id in safe), None)
    return Advice(atlas.of(reading), atlas.of(nearest) if nearest else None)


def _grids(atlas: Atlas, name: str, turns: Sequence[Frontier]) -> Iterator[Grid]:
    edges = _edges(turns)
    for device in atlas.devices:
        crossed = atlas.crossed[device]
        for loader in Loader:
            keys = [CaseKey(name, loader, check) for check in Check]
            rows = tuple(
                GridRow(clip(version), tuple(_place(atlas, readings, keys, edges) for readings in places))
                for version, places in crossed.rows
            )
            yield Grid(device, loader, tuple(map(clip, crossed.deepspeeds)), rows)


def _place(
    atlas: Atlas, readings: Iterable[Reading], keys: Sequence[CaseKey], edges: Mapping[_Edge, tuple[str, ...]]
) -> tuple[GridCell, ...]:
    links_of = ((atlas.of(reading), reading) for reading in readings)
    return tuple(
        GridCell(link, tuple(cell(reading, key) for key in keys), ", ".join(edges.get((keys[0].loader, link.page), ())))
        for link, reading in links_of
    )


def _edges(turns: Iterable[Frontier]) -> Mapping[_Edge, tuple[str, ...]]:
    """What begins in each place: `load right from here on along transformers`."""
    found: dict[_Edge, tuple[str, ...]] = {}
    for turn in turns:
        for before, span in pairwise(turn.spans):
            for page in span.begins if span.right != before.right else ():
                key = turn.loader, page
                words = f"{turn.check} {becomes(span.outcome)} from here along {turn.axis}"
                found[key] = (*found.get(key, ()), words)
    return found

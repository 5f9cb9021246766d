"""PURE. The pages of environments, and the list of them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from bot.report.build import environment_view
from bot.site.data import urls as links
from bot.site.data.index import ALL, Atlas, verdict_of, worst
from bot.site.data.page_types import EnvironmentPage, EnvironmentsPage
from bot.site.data.views import ArchitectureLine, Cell, EnvironmentLine, Link, LoaderShare
from bot.site.pages.heat_map import share
from bot.text import clip, count
from matrix.advice.safety import RACE
from matrix.history.snapshot import Reading
from matrix.model import CaseKey, Loader, keys_of
from matrix.verdicts import Verdict


def environments_page(atlas: Atlas) -> EnvironmentsPage:
    """The list of all environments."""
    return EnvironmentsPage(
        path=links.ENVIRONMENTS,
        title=f"{count(len(atlas.readings), 'environment')}",
        crumbs=(),
        night=atlas.night,
        loaders=tuple(Loader),
        environments=tuple(
            EnvironmentLine(atlas.of(reading), tuple(share(atlas, reading, loader) for loader in Loader))
            for reading in atlas.readings
        ),
    )


def environment_pages(atlas: Atlas, part: slice = ALL) -> Iterator[EnvironmentPage]:
    """A page for each environment, or only for a `part` of them."""
    return (_page(atlas, reading) for reading in atlas.readings[part])


def _page(atlas: Atlas, reading: Reading) -> EnvironmentPage:
    link = atlas.of(reading)
    lines = sorted((line(atlas, reading, name) for name in atlas.architectures), key=_worst_first)
    view = environment_view("environment", reading.cell, link.label, atlas.lock)
    return EnvironmentPage(
        path=link.page,
        title=link.label,
        crumbs=(Link("Environments", links.ENVIRONMENTS),),
        night=reading.night,
        environment=link,
        attempt=reading.attempt,
        changed=max((dated.since for dated in reading.cases.values()), default=None),
        flaky=reading.flaky,
        racy=reading.flaky >= RACE,
        view=view,
        gap=view.gap,
        shares=tuple(LoaderShare(loader, share(atlas, reading, loader)) for loader in Loader),
        architectures=tuple(anchored(lines, lambda one: f"worst-{one.worst or 'untested'}")),
    )


def line(atlas: Atlas, reading: Reading, architecture: str) -> ArchitectureLine:
    """An architecture in the environment of `reading`."""
    cells = tuple(cell(reading, key) for key in keys_of(architecture))
    return ArchitectureLine(
        anchor="",
        architecture=clip(architecture),
        family=atlas.family(architecture),
        page=links.architecture(architecture),
        worst=worst([one.verdict for one in cells]),
        cells=cells,
    )


def anchored(lines: Iterable[ArchitectureLine], group: Callable[[ArchitectureLine], str]) -> Iterator[ArchitectureLine]:
    """The lines, the first of each `group` with that name as its anchor."""
    seen: set[str] = set()
    for one in lines:
        name = group(one)
        yield one if name in seen else replace(one, anchor=name)
        seen.add(name)


def cell(reading: Reading, key: CaseKey) -> Cell:
    """A case of the environment of `reading`, measured or not; its page is empty where there is none."""
    verdict = verdict_of(reading, key)
    page = links.case(reading.cell.environment.id, key) if verdict else ""
    return Cell(key.loader, key.check, verdict, page)


def _worst_first(line: ArchitectureLine) -> tuple[int, list[int]]:
    ranks = [verdict.rank if verdict else len(Verdict) for verdict in line.verdicts]
    return min(ranks), ranks

"""PURE. The page about the site: how to read it, what it covers, and how often it was wrong itself."""

from bot.site.data import urls as links
from bot.site.data.index import Atlas, case_link
from bot.site.data.page_types import AboutPage
from bot.site.data.views import Tally
from matrix.verdicts import Verdict


def about_page(atlas: Atlas) -> AboutPage:
    """The page about the site."""
    flaky = tuple(
        case_link(reading.cell.environment.id, dated.case)
        for reading in atlas.readings
        for dated in reading.cases.values()
        if dated.case.verdict is Verdict.FLAKY
    )
    return AboutPage(
        path=links.ABOUT,
        title="How to read this site",
        crumbs=(),
        night=atlas.night,
        tally=_tally(atlas, len(flaky)),
        flaky=flaky,
    )


def _tally(atlas: Atlas, flaky: int) -> Tally:
    return Tally(
        environments=len(atlas.readings),
        architectures=len(atlas.architectures),
        cases=sum(len(reading.cases) for reading in atlas.readings),
        measured=sum(bool(reading.cases) for reading in atlas.readings),
        nights=len(atlas.nights),
        first=atlas.nights[0].day if atlas.nights else None,
        flaky=flaky,
        withdrawn=atlas.withdrawn,
        refused=atlas.nights[-1].refused if atlas.nights else 0,
    )

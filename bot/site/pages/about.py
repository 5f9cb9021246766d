"""PURE. The page about the site: how to read it, what it covers, and how often it was wrong itself."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from bot.site.data import urls
from bot.site.data.links import link_case
from bot.site.data.page import Page, PageKind
from bot.site.data.site_index import SiteIndex
from bot.site.data.views import CaseLink
from matrix.history.snapshot import SHOWN, TRUSTED
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class Tally:
    """What the site covers and how often it was wrong itself.

    `flaky` counts cases whose reruns disagree now. `retracted` counts those that failed once, then passed with the same inputs;
    it is None without a history. `rejected` counts record files of the newest nightly run that are damaged or superseded.
    """

    environments: int
    architectures: int
    cases: int
    measured: int
    nights: int
    first: date | None
    flaky: int
    retracted: int | None
    rejected: int


@dataclass(frozen=True, kw_only=True)
class AboutPage(Page):
    """How to read the site, and what it does not say."""

    tally: Tally
    flaky: tuple[CaseLink, ...]

    @property
    def trusted(self) -> int:
        """For how many days a measurement is relied on."""
        return TRUSTED.days

    @property
    def shown(self) -> int:
        """For how many days an environment is shown after a nightly run last planned it."""
        return SHOWN.days


def build(site: SiteIndex) -> AboutPage:
    """Builds the page about the site."""
    flaky = tuple(
        link_case(reading.cell.environment.id, dated.case)
        for reading in site.readings
        for dated in reading.cases.values()
        if dated.case.verdict is Verdict.FLAKY
    )
    return AboutPage(
        path=urls.ABOUT,
        title="How to read this site",
        crumbs=(),
        night=site.night,
        tally=_tally(site, len(flaky)),
        flaky=flaky,
    )


def _tally(site: SiteIndex, flaky: int) -> Tally:
    return Tally(
        environments=len(site.readings),
        architectures=len(site.architectures),
        cases=sum(len(reading.cases) for reading in site.readings),
        measured=sum(bool(reading.cases) for reading in site.readings),
        nights=len(site.nights),
        first=site.nights[0].day if site.nights else None,
        flaky=flaky,
        retracted=site.retracted,
        rejected=site.nights[-1].rejected if site.nights else 0,
    )


PAGE: Final = PageKind(
    address=urls.ABOUT,
    says="how to read and contest a verdict, coverage, false alarms, record files of the newest nightly run that do not count",
    place=90,
    build=build,
    navigation="How to read",
)

"""PURE. The page of an environment."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from typing import Final

from bot.report.build import build_environment_view
from bot.report.context import EnvironmentView
from bot.site.data import urls
from bot.site.data.page import Page, PageKind
from bot.site.data.site_index import SiteIndex
from bot.site.data.views import EnvironmentLink, Link
from bot.site.parts.architecture_lines import ArchitectureLine, add_anchors, build_architecture_line, list_families
from bot.site.parts.heat_map import Share, count_share
from bot.text import Code
from bot.verdict_words import describe_trainings
from matrix.advice.safety import RACE
from matrix.history.snapshot import Reading
from matrix.model import Loader
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class LoaderShare:
    """A share of the cases with one loader, in all precisions that the environment was measured in."""

    loader: Loader
    trained_in: str
    share: Share


@dataclass(frozen=True, kw_only=True)
class EnvironmentPage(Page):
    """One environment with all architectures, the worst first.

    `attempt` is the newest nightly run that planned it, `changed` the newest in which a verdict changed, and `flaky`
    how many percent of its cases differ from run to run: `racy` when so many do that a pass may be luck.
    """

    environment: EnvironmentLink
    attempt: date
    changed: date | None
    flaky: int
    racy: bool
    view: EnvironmentView
    shares: tuple[LoaderShare, ...]
    architectures: tuple[ArchitectureLine, ...]

    @property
    def families(self) -> tuple[Code, ...]:
        """The families of the architectures."""
        return list_families(self.architectures)

    @property
    def jumps(self) -> tuple[tuple[ArchitectureLine, int], ...]:
        """The first line of each worst verdict, and how many share it."""
        counts = Counter(line.worst for line in self.architectures)
        return tuple((line, counts[line.worst]) for line in self.architectures if line.anchor)


def build(site: SiteIndex, reading: Reading) -> EnvironmentPage:
    """Builds the page of an environment."""
    link, trained_in = site.of(reading), describe_trainings(site.variants_of(reading))
    lines = sorted((build_architecture_line(site, reading, name) for name in site.architectures), key=_worst_first)
    return EnvironmentPage(
        path=link.page,
        title=link.label,
        crumbs=(Link("Environments", urls.ENVIRONMENTS),),
        night=reading.night,
        environment=link,
        attempt=reading.attempt,
        changed=max((dated.since for dated in reading.cases.values()), default=None),
        flaky=reading.flaky,
        racy=reading.flaky >= RACE,
        view=build_environment_view("environment", reading.cell, link.label, site.lock),
        shares=tuple(LoaderShare(loader, trained_in, count_share(site, reading, loader)) for loader in Loader),
        architectures=tuple(add_anchors(lines, lambda one: f"worst-{one.worst or 'untested'}")),
    )


def _worst_first(line: ArchitectureLine) -> tuple[int, list[int]]:
    ranks = [verdict.rank if verdict else len(Verdict) for verdict in line.verdicts]
    return min(ranks), ranks


PAGE: Final = PageKind(
    address="environments/<environment>.html",
    says="one environment with all architectures, the worst first",
    place=25,
    build=build,
    each=attrgetter("readings"),
)

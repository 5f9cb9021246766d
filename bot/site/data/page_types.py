"""The frozen contexts of the site's pages."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Literal

from bot.report.context import EnvironmentView
from bot.site.data.views import (
    Advice,
    ArchitectureLine,
    CaseEntry,
    CaseLink,
    Change,
    EnvironmentLine,
    EnvironmentLink,
    FailureLine,
    FailureLink,
    FailurePlace,
    Frontier,
    Grid,
    Heat,
    Link,
    LoaderShare,
    Sites,
    Tally,
    VerdictCount,
)
from bot.site.data.views_answers import Answers
from bot.text import Code
from matrix.history.snapshot import SHOWN, TRUSTED
from matrix.model import Loader


def initial(name: str) -> str:
    """The letter or digit that a name is listed under; `other` for any other sign."""
    first = name[:1].lower()
    return first if first.isascii() and first.isalnum() else "other"


def _families(lines: Iterable[ArchitectureLine]) -> tuple[Code, ...]:
    return tuple(dict.fromkeys(line.family for line in lines))


@dataclass(frozen=True, kw_only=True)
class Page:
    """What all pages have. `night` is the newest one that the page tells of; None when there is none."""

    path: str
    title: str
    crumbs: tuple[Link, ...]
    night: date | None

    @property
    def root(self) -> str:
        """What a link on this page begins with, to start from the root of the site."""
        return "../" * self.path.count("/")


@dataclass(frozen=True, kw_only=True)
class HeatPage(Page):
    """A heat map on a page of its own."""

    kind: Literal["heat"] = "heat"
    heat: Heat


@dataclass(frozen=True, kw_only=True)
class StartPage(Page):
    """The start page. `concerns` are the environments that are stale; `before` is the night that `changes` are against,
    None in the first one.
    """

    kind: Literal["start"] = "start"
    headline: str
    answers: Answers
    before: date | None
    changes: tuple[Change, ...]
    concerns: tuple[EnvironmentLink, ...]
    heat: Heat | None
    failures: tuple[FailureLink, ...]

    @property
    def letters(self) -> tuple[str, ...]:
        """What names of architectures begin with."""
        return tuple(dict.fromkeys(initial(one.id) for one in self.answers.architectures))


@dataclass(frozen=True, kw_only=True)
class EnvironmentsPage(Page):
    """All environments, the newest versions first; `loaders` are those of the shares."""

    kind: Literal["environments"] = "environments"
    loaders: tuple[Loader, ...]
    environments: tuple[EnvironmentLine, ...]


@dataclass(frozen=True, kw_only=True)
class EnvironmentPage(Page):
    """One environment with all architectures, the worst first.

    `attempt` is the newest night that wanted to measure it, `changed` the newest in which a verdict became another, and
    `flaky` how many percent of its cases differ from run to run: `racy` when so many do that a pass may be luck.
    """

    kind: Literal["environment"] = "environment"
    environment: EnvironmentLink
    attempt: date
    changed: date | None
    flaky: int
    racy: bool
    view: EnvironmentView
    gap: str
    shares: tuple[LoaderShare, ...]
    architectures: tuple[ArchitectureLine, ...]

    @property
    def families(self) -> tuple[Code, ...]:
        """The families of the architectures."""
        return _families(self.architectures)

    @property
    def jumps(self) -> tuple[tuple[ArchitectureLine, int], ...]:
        """The first line of each worst verdict, and how many share it."""
        counts = Counter(line.worst for line in self.architectures)
        return tuple((line, counts[line.worst]) for line in self.architectures if line.anchor)


@dataclass(frozen=True, kw_only=True)
class ArchitecturesPage(Page):
    """All architectures by name. `cells` of a line are those of the newest environment that was measured, `environment`."""

    kind: Literal["architectures"] = "architectures"
    environment: EnvironmentLink | None
    architectures: tuple[ArchitectureLine, ...]

    @property
    def families(self) -> tuple[Code, ...]:
        """The families of the architectures."""
        return _families(self.architectures)

    @property
    def letters(self) -> tuple[str, ...]:
        """The anchors of the lines."""
        return tuple(line.anchor for line in self.architectures if line.anchor)


@dataclass(frozen=True, kw_only=True)
class ArchitecturePage(Page):
    """One architecture in all environments. `safe` are those that `python -m matrix advise` calls safe with the
    stock loader, the newest first; `advice` is for the other ones that were measured.
    """

    kind: Literal["architecture"] = "architecture"
    architecture: Code
    family: Code
    counts: tuple[VerdictCount, ...]
    frontiers: tuple[Frontier, ...]
    grids: tuple[Grid, ...]
    sites: Sites
    failures: tuple[FailureLink, ...]
    issues: tuple[str, ...]
    safe: tuple[EnvironmentLink, ...]
    advice: tuple[Advice, ...]

    @property
    def turns(self) -> tuple[tuple[Frontier, ...], ...]:
        """The frontiers by what they are of."""

        def case(frontier: Frontier) -> tuple[str, ...]:
            return frontier.device, frontier.loader, frontier.check

        return tuple(tuple(group) for _, group in groupby(self.frontiers, key=case))


@dataclass(frozen=True, kw_only=True)
class CasesPage(Page):
    """The cases of an architecture in an environment."""

    kind: Literal["cases"] = "cases"
    environment: EnvironmentLink
    architecture: Link
    cases: tuple[CaseEntry, ...]
    untested: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FindingsPage(Page):
    """All distinct upstream failures, the worst first."""

    kind: Literal["findings"] = "findings"
    failures: tuple[FailureLine, ...]


@dataclass(frozen=True, kw_only=True)
class FindingPage(Page):
    """One distinct upstream failure with every architecture and version that it hits. `command` reproduces one case."""

    kind: Literal["finding"] = "finding"
    line: FailureLine
    architectures: tuple[Link, ...]
    places: tuple[FailurePlace, ...]
    example: CaseLink
    command: Code


@dataclass(frozen=True, kw_only=True)
class AboutPage(Page):
    """How to read the site, and what it does not say."""

    kind: Literal["about"] = "about"
    tally: Tally
    flaky: tuple[CaseLink, ...]

    @property
    def trusted(self) -> int:
        """For how many days a measurement is relied on."""
        return TRUSTED.days

    @property
    def shown(self) -> int:
        """For how many days an environment is told of after it was last wanted."""
        return SHOWN.days


Pages = (
    StartPage
    | HeatPage
    | EnvironmentsPage
    | EnvironmentPage
    | ArchitecturesPage
    | ArchitecturePage
    | CasesPage
    | FindingsPage
    | FindingPage
    | AboutPage
)

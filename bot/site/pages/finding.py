"""PURE. The page of a distinct upstream failure."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from bot.report.labels import format_command
from bot.site.data import urls
from bot.site.data.links import link_case
from bot.site.data.page import Page, PageKind
from bot.site.data.site_index import SiteIndex
from bot.site.data.views import CaseLink, EnvironmentLink, Link
from bot.site.failures.group import Place, UpstreamFailure
from bot.site.parts.failure_lines import FailureLine, build_failure_line
from bot.text import Code, capitalize, clip, strip_marks


@dataclass(frozen=True)
class FailurePlace:
    """An environment that a failure hits, with its cases."""

    environment: EnvironmentLink
    cases: tuple[CaseLink, ...]


@dataclass(frozen=True, kw_only=True)
class FindingPage(Page):
    """One distinct upstream failure with every architecture and version that it hits. `command` reproduces one case."""

    line: FailureLine
    architectures: tuple[Link, ...]
    places: tuple[FailurePlace, ...]
    example: CaseLink
    command: Code


def build(site: SiteIndex, failure: UpstreamFailure) -> FindingPage:
    """Builds the page of a failure."""
    names = sorted({place.case.architecture for place in failure.places}, key=str.casefold)
    first = failure.places[0]
    return FindingPage(
        path=urls.finding(failure.slug),
        title=capitalize(strip_marks(failure.title)),
        crumbs=(Link("Findings", urls.FINDINGS),),
        night=site.night,
        line=build_failure_line(failure),
        architectures=tuple(Link(clip(name), urls.architecture(name)) for name in names),
        places=tuple(_places(site, failure.places)),
        example=link_case(first.environment.id, first.case),
        command=format_command(first.environment, first.case),
    )


def _places(site: SiteIndex, places: tuple[Place, ...]) -> Iterator[FailurePlace]:
    """The cases by environment, the newest first."""
    cases: dict[str, list[CaseLink]] = defaultdict(list)
    for place in places:
        cases[place.environment.id].append(link_case(place.environment.id, place.case))
    for name, environment in site.environments.items():
        if name in cases:
            yield FailurePlace(environment, tuple(cases[name]))


PAGE: Final = PageKind(
    address="findings/<failure>.html",
    says="an upstream failure: where it happens, known issues, every case that it hits",
    place=55,
    build=build,
    each=attrgetter("failures"),
)

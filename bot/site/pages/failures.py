"""PURE. The pages of distinct upstream failures, and the list of them."""

from collections import defaultdict
from collections.abc import Iterator

from bot.report.labels import command
from bot.site.data import urls as links
from bot.site.data.index import Atlas, case_link, failure_link
from bot.site.data.page_types import FindingPage, FindingsPage
from bot.site.data.views import CaseLink, FailureLine, FailurePlace, KnownLink, Link, words
from bot.site.failures.group import Place, UpstreamFailure
from bot.text import capital, clip, count, plain
from matrix.advice.known import Known


def findings_page(atlas: Atlas) -> FindingsPage:
    """The list of all failures."""
    return FindingsPage(
        path=links.FINDINGS,
        title=f"{count(len(atlas.failures), 'distinct upstream failure')}",
        crumbs=(),
        night=atlas.night,
        failures=tuple(line(failure) for failure in atlas.failures),
    )


def finding_pages(atlas: Atlas) -> Iterator[FindingPage]:
    """A page for each failure."""
    return (_page(atlas, failure) for failure in atlas.failures)


def line(failure: UpstreamFailure) -> FailureLine:
    """A failure and how far it reaches."""
    return FailureLine(
        failure=failure_link(failure),
        rule=words(*failure.rule),
        cases=len(failure.places),
        architectures=len({place.case.architecture for place in failure.places}),
        environments=len({place.environment.id for place in failure.places}),
        known=tuple(_known(known) for known in failure.known),
    )


def _known(known: Known) -> KnownLink:
    return KnownLink(known.id, known.title, tuple(known.issues), known.state, known.fixed_in)


def _page(atlas: Atlas, failure: UpstreamFailure) -> FindingPage:
    names = sorted({place.case.architecture for place in failure.places}, key=str.casefold)
    first = failure.places[0]
    return FindingPage(
        path=links.finding(failure.slug),
        title=capital(plain(failure.title)),
        crumbs=(Link("Findings", links.FINDINGS),),
        night=atlas.night,
        line=line(failure),
        architectures=tuple(Link(clip(name), links.architecture(name)) for name in names),
        places=tuple(_places(atlas, failure.places)),
        example=case_link(first.environment.id, first.case),
        command=command(first.environment, first.case),
    )


def _places(atlas: Atlas, places: tuple[Place, ...]) -> Iterator[FailurePlace]:
    """The cases by environment, the newest first."""
    cases: dict[str, list[CaseLink]] = defaultdict(list)
    for place in places:
        cases[place.environment.id].append(case_link(place.environment.id, place.case))
    for name, environment in atlas.environments.items():
        if name in cases:
            yield FailurePlace(environment, tuple(cases[name]))

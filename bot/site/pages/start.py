"""PURE. The start page: answers, the changes of the newest nightly run, and the heat map."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from bot.report.statements import summarize_cells
from bot.site.data import urls
from bot.site.data.links import link_failure
from bot.site.data.page import Page, PageKind, get_initial
from bot.site.data.site_index import SiteIndex
from bot.site.data.views import CaseLink, EnvironmentLink, FailureLink
from bot.site.parts.answer_box import Answers, build_answers
from bot.site.parts.heat_map import Heat, build_heat_map, list_positions
from bot.text import clip
from matrix.history.changes import VerdictChange
from matrix.verdicts import Verdict

CASES_NAMED: Final = 12
"""How many cases a change names."""
FAILURES_SHOWN: Final = 6


@dataclass(frozen=True)
class ChangeGroup:
    """Cases of an environment that had the verdict `before` and now have `after`; `before` is None when they are new.
    `more` of them are not named.
    """

    environment: EnvironmentLink
    before: Verdict | None
    after: Verdict
    cases: tuple[CaseLink, ...]
    more: int


@dataclass(frozen=True, kw_only=True)
class StartPage(Page):
    """The start page. `concerns` are the environments that are stale.

    `before` is the date of the nightly run that `changes` are compared with; None in the first one.
    """

    headline: str
    answers: Answers
    before: date | None
    changes: tuple[ChangeGroup, ...]
    concerns: tuple[EnvironmentLink, ...]
    heat: Heat | None
    failures: tuple[FailureLink, ...]

    @property
    def letters(self) -> tuple[str, ...]:
        """What names of architectures begin with."""
        return tuple(dict.fromkeys(get_initial(one.id) for one in self.answers.architectures))


def build(site: SiteIndex) -> StartPage:
    """Builds the start page."""
    first = next(iter(list_positions(site)), None)
    return StartPage(
        path=urls.START,
        title="Does my model survive ZeRO-3 with my versions?",
        crumbs=(),
        night=site.night,
        headline=summarize_cells(site.snapshot.run.cells),
        answers=build_answers(site),
        before=site.nights[-2].day if len(site.nights) > 1 else None,
        changes=tuple(_changes(site)),
        concerns=tuple(site.of(reading) for reading in site.readings if reading.stale),
        heat=build_heat_map(site, first) if first else None,
        failures=tuple(link_failure(failure) for failure in site.failures[:FAILURES_SHOWN]),
    )


def _changes(site: SiteIndex) -> Iterator[ChangeGroup]:
    """Cases of an environment that changed alike together, what became worse first."""
    alike: dict[tuple[str, Verdict | None, Verdict], list[VerdictChange]] = defaultdict(list)
    for transition in site.snapshot.changes:
        alike[transition.environment, transition.before, transition.after].append(transition)
    for (name, before, after), group in sorted(alike.items(), key=lambda item: _worse_first(*item[0])):
        if name in site.environments:
            cases = tuple(_case(transition) for transition in group[:CASES_NAMED])
            yield ChangeGroup(site.environments[name], before, after, cases, len(group) - len(cases))


def _worse_first(environment: str, before: Verdict | None, after: Verdict) -> tuple[int, int, str]:
    kind = 2 if before is None else 0 if after.rank < before.rank else 1
    return kind, after.rank, environment


def _case(transition: VerdictChange) -> CaseLink:
    key = transition.key
    page = urls.case(transition.environment, key)
    return CaseLink(clip(key.architecture), key.loader, key.variant.what, transition.after, page)


PAGE: Final = PageKind(
    address=urls.START,
    says="the answer box, what changed in the newest nightly run, what is stale, the heat map of the device with the most cases",
    place=0,
    build=build,
    navigation="Answers",
)

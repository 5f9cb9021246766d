"""PURE. The start page: answers, tonight's changes, and the heat map."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from bot.report.statements import answer
from bot.site.data import urls as links
from bot.site.data.index import Atlas, failure_link
from bot.site.data.page_types import StartPage
from bot.site.data.views import CaseLink, Change
from bot.site.pages.answer_box import answers
from bot.site.pages.heat_map import heat, positions
from bot.text import clip
from matrix.history.queries import Transition
from matrix.verdicts import Verdict

CASES_NAMED: Final = 12
"""How many cases a change names."""
FAILURES_SHOWN: Final = 6


def start_page(atlas: Atlas) -> StartPage:
    """The start page of a board."""
    first = next(iter(positions(atlas)), None)
    return StartPage(
        path=links.START,
        title="Does my model survive ZeRO-3 with my versions?",
        crumbs=(),
        night=atlas.night,
        headline=answer(atlas.board.run.cells),
        answers=answers(atlas),
        before=atlas.nights[-2].day if len(atlas.nights) > 1 else None,
        changes=tuple(_changes(atlas)),
        concerns=tuple(atlas.of(reading) for reading in atlas.readings if reading.stale),
        heat=heat(atlas, first) if first else None,
        failures=tuple(failure_link(failure) for failure in atlas.failures[:FAILURES_SHOWN]),
    )


def _changes(atlas: Atlas) -> Iterator[Change]:
    """Cases of an environment that changed alike together, what became worse first."""
    alike: dict[tuple[str, Verdict | None, Verdict], list[Transition]] = defaultdict(list)
    for transition in atlas.board.changes:
        alike[transition.environment, transition.before, transition.after].append(transition)
    for (name, before, after), group in sorted(alike.items(), key=lambda item: _worse_first(*item[0])):
        if name in atlas.environments:
            cases = tuple(_case(transition) for transition in group[:CASES_NAMED])
            yield Change(atlas.environments[name], before, after, cases, len(group) - len(cases))


def _worse_first(environment: str, before: Verdict | None, after: Verdict) -> tuple[int, int, str]:
    kind = 2 if before is None else 0 if after.rank < before.rank else 1
    return kind, after.rank, environment


def _case(transition: Transition) -> CaseLink:
    key = transition.key
    page = links.case(transition.environment, key)
    return CaseLink(clip(key.architecture), key.loader, key.check, transition.after, page)

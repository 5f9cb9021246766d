"""One rule for what is safe: whoever asks badges, pages, the answer box, advice or a published site is told the same."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.site.data import urls as links
from bot.site.data.index import Atlas
from bot.site.outputs.api import build_api
from bot.site.outputs.badges import badges
from bot.site.pages.answer_box import answers
from bot.site.pages.architectures import architecture_pages
from matrix.advice.advice import Age, Ask, advise
from matrix.advice.published_site import Published
from matrix.advice.safety import Answer
from matrix.advice.sources import Knowledge, Measured
from matrix.model import Case, Cell, Check, Device, EnvironmentInfo, Failure, Loader
from matrix.verdicts import Verdict
from tests.support.runs import BERT, ROUTER, case, cell, info
from tests.support.site_server import serving
from tests.support.sites import atlas_of, four

PLACES = [
    info("5.6.0"),
    info("5.6.0", Device.CUDA),
    info("5.6.0", torch="2.8.0"),
    info("5.5.4"),
    info("5.5.4", Device.CUDA),
    info("5.7.0.dev0"),
]
GREEN = "brightgreen"
FATES: list[dict[str, Any]] = [
    {},
    {"complete": False},
    {"probe": "sha256:other"},
    {"started": "2026-09-01T00:00:00Z"},
    {"cases": (), "error": Failure("E", "no wheel")},
]
"""Ways in which a measurement may have gone, the first of them well."""


@st.composite
def measured(draw: st.DrawFn) -> Cell:
    """A cell that mostly went well."""
    verdicts = st.sampled_from([*[Verdict.PASS] * 8, None, *Verdict])
    cases = [
        case(ROUTER, verdict, loader=loader, check=check)
        for loader in Loader
        for check in Check
        if (verdict := draw(verdicts))
    ]
    lucky = case(BERT, draw(st.sampled_from([Verdict.PASS, Verdict.FLAKY])), loader=Loader.FIXED)
    fate = draw(st.sampled_from([*FATES[:1] * 8, *FATES]))
    return _cell(draw(st.sampled_from(PLACES)), *cases, lucky, **fate)


def _cell(environment: EnvironmentInfo, *cases: Case, **fate: Any) -> Cell:
    return cell(*fate.pop("cases", cases), environment=environment, **fate)


def told(atlas: Atlas, known: Knowledge, name: str, **asked: Any) -> Answer:
    age = Age(atlas.board.night, atlas.board.night)
    return advise(name, known.tried(name), Ask(**asked), age).answer


def asked_of_pages(atlas: Atlas, name: str) -> Iterator[tuple[dict[str, Any], Answer | bool]]:
    """Questions for advice, each with the site's answer: page and badge say whether it is safe, the box what is known."""
    page = next(page for page in architecture_pages(atlas) if page.path == links.architecture(name))
    safe = {(one.transformers, one.deepspeed) for one in page.safe}
    box = answers(atlas)
    at = len(Loader) * atlas.architectures.index(name)
    for one in box.environments:
        pins = {"transformers": one.transformers, "deepspeed": one.deepspeed}
        yield pins, tuple(pins.values()) in safe
        for letter, loader in zip(one.answers[at : at + len(Loader)], Loader, strict=True):
            answer = {"s": Answer.SAFE, "u": Answer.UNSAFE, "?": Answer.UNKNOWN}[letter]
            yield {**pins, "device": one.device, "loader": loader}, answer
    releases = [pair for pair in (reading.pair for reading in atlas.board.readings) if "dev" not in pair[0]]
    if releases:
        newest = dict(zip(("transformers", "deepspeed"), max(releases), strict=True))
        yield newest, badges(atlas.board)[f"badges/architectures/{links.slug(name)}.json"].color == GREEN


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(measured(), min_size=1, max_size=4, unique_by=lambda one: one.environment.id))
def test_badges_pages_the_answer_box_and_advice_say_the_same(cells: list[Cell]) -> None:
    atlas = atlas_of(*cells)
    known = Measured(atlas.board)
    for name in atlas.architectures:
        for asked, said in asked_of_pages(atlas, name):
            answer = told(atlas, known, name, **asked)
            assert said == (answer if isinstance(said, Answer) else answer is Answer.SAFE), (name, asked)


@pytest.mark.parametrize("fate", FATES, ids=["well", "cut short", "other probe", "old", "failed"])
def test_a_published_site_says_the_same_as_what_it_is_made_of(fate: dict[str, Any]) -> None:
    others = [_cell(place, *four(), **fate) for place in PLACES[1:2]]
    racy = _cell(PLACES[3], *four(), case(BERT, Verdict.FLAKY))
    atlas = atlas_of(*others, *(_cell(place, *four()) for place in PLACES[:1]), racy)
    with serving({f"/{path}": content for path, content in build_api(atlas)}) as address:
        for pin in ("5.6.0", "5.5.4"):
            site, board = (
                told(atlas, known, ROUTER, transformers=pin) for known in (Published(address), Measured(atlas.board))
            )
            assert site is board
    assert (told(atlas, Measured(atlas.board), ROUTER, transformers="5.6.0") is Answer.SAFE) == (not fate)

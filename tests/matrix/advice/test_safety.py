"""One rule for what is safe: whoever asks badges, pages, the answer box, advice or a published site is told the same."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.site.data import urls
from bot.site.data.site_index import SiteIndex
from bot.site.outputs.api import build_api
from bot.site.outputs.badges import build_badges
from bot.site.pages import architecture
from bot.site.parts.answer_box import build_answers
from matrix.advice.advice import Age, Ask, advise
from matrix.advice.published_site import PublishedSite
from matrix.advice.safety import Answer
from matrix.advice.sources import ResultSource, SnapshotSource
from matrix.checks import CHECKS
from matrix.model import Case, Cell, Device, EnvironmentInfo, Failure, Loader
from matrix.verdicts import Verdict
from tests.support.runs import BERT, ROUTER, case, cell, info
from tests.support.site_server import serving
from tests.support.sites import four, site_index

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
        for check in CHECKS
        if (verdict := draw(verdicts))
    ]
    lucky = case(BERT, draw(st.sampled_from([Verdict.PASS, Verdict.FLAKY])), loader=Loader.FIXED)
    fate = draw(st.sampled_from([*FATES[:1] * 8, *FATES]))
    return _cell(draw(st.sampled_from(PLACES)), *cases, lucky, **fate)


def _cell(environment: EnvironmentInfo, *cases: Case, **fate: Any) -> Cell:
    return cell(*fate.pop("cases", cases), environment=environment, **fate)


def told(site: SiteIndex, known: ResultSource, name: str, **asked: Any) -> Answer:
    age = Age(site.snapshot.night, site.snapshot.night)
    return advise(name, known.tried(name), Ask(**asked), age).answer


def asked_of_pages(site: SiteIndex, name: str) -> Iterator[tuple[dict[str, Any], Answer | bool]]:
    """Questions for advice, each with the site's answer: page and badge say whether it is safe, the box what is known."""
    page = next(page for page in architecture.PAGE.pages(site) if page.path == urls.architecture(name))
    safe = {(one.environment.transformers, one.environment.deepspeed) for one in page.safe}
    box = build_answers(site)
    at = len(Loader) * site.architectures.index(name)
    for one in box.environments:
        pins = {"transformers": one.transformers, "deepspeed": one.deepspeed}
        yield pins, tuple(pins.values()) in safe
        for letter, loader in zip(one.answers[at : at + len(Loader)], Loader, strict=True):
            answer = {"s": Answer.SAFE, "u": Answer.UNSAFE, "?": Answer.UNKNOWN}[letter]
            yield {**pins, "device": one.device, "loader": loader}, answer
    releases = [pair for pair in (reading.pair for reading in site.snapshot.readings) if "dev" not in pair[0]]
    if releases:
        newest = dict(zip(("transformers", "deepspeed"), max(releases), strict=True))
        yield newest, build_badges(site.snapshot)[f"badges/architectures/{urls.slug(name)}.json"].color == GREEN


@settings(max_examples=60, derandomize=True)
@given(st.lists(measured(), min_size=1, max_size=4, unique_by=lambda one: one.environment.id))
def test_badges_pages_the_answer_box_and_advice_say_the_same(cells: list[Cell]) -> None:
    site = site_index(*cells)
    known = SnapshotSource(site.snapshot)
    for name in site.architectures:
        for asked, said in asked_of_pages(site, name):
            answer = told(site, known, name, **asked)
            assert said == (answer if isinstance(said, Answer) else answer is Answer.SAFE), (name, asked)


@pytest.mark.parametrize("fate", FATES, ids=["well", "cut short", "other probe", "old", "failed"])
def test_a_published_site_says_the_same_as_what_it_is_made_of(fate: dict[str, Any]) -> None:
    others = [_cell(place, *four(), **fate) for place in PLACES[1:2]]
    racy = _cell(PLACES[3], *four(), case(BERT, Verdict.FLAKY))
    site = site_index(*others, *(_cell(place, *four()) for place in PLACES[:1]), racy)
    with serving({f"/{path}": content for path, content in build_api(site)}) as address:
        for pin in ("5.6.0", "5.5.4"):
            published, snapshot = (
                told(site, known, ROUTER, transformers=pin)
                for known in (PublishedSite(address), SnapshotSource(site.snapshot))
            )
            assert published is snapshot
    assert (told(site, SnapshotSource(site.snapshot), ROUTER, transformers="5.6.0") is Answer.SAFE) == (not fate)

"""What the page of an architecture says."""

from bot.site.pages import architecture, environment
from bot.site.parts.answer_box import build_answers
from matrix.verdicts import Verdict
from tests.support.runs import BERT, ROUTER, case, cell
from tests.support.sites import four, pair, site_index, small


def test_an_architecture_has_its_safe_pairs_and_the_nearest_of_them() -> None:
    verdicts = {"5.4.0": Verdict.CORRUPT, "5.5.4": Verdict.CORRUPT, "5.6.0": Verdict.PASS, "5.7.0": Verdict.PASS}
    site = site_index(*(cell(*four(load=verdict), environment=pair(version)) for version, verdict in verdicts.items()))
    (page,) = architecture.PAGE.pages(site)
    assert [(safe.environment.transformers, safe.rests_on) for safe in page.safe] == [
        ("5.7.0", "safe in float32: load, save"),
        ("5.6.0", "safe in float32: load, save"),
    ]
    assert [(one.environment.transformers, one.nearest and one.nearest.transformers) for one in page.advice] == [
        ("5.5.4", "5.6.0"),
        ("5.4.0", "5.6.0"),
    ]


def test_untested_is_not_safe() -> None:
    (page,) = architecture.PAGE.pages(site_index(cell(case(ROUTER))))
    assert page.safe == ()


def test_buffer_sites_are_complete_only_when_they_are_known() -> None:
    told = cell(*four(load=Verdict.CORRUPT))
    (found,), (known,) = (
        architecture.PAGE.pages(site_index(told, sites=sites)) for sites in ({}, {ROUTER: ["A.b", "C.d"]})
    )
    assert (found.sites.complete, found.sites.names) == (False, ("Router.bias",))
    assert (known.sites.complete, known.sites.names) == (True, ("A.b", "C.d"))


def test_the_grid_marks_where_something_turns() -> None:
    page = next(page for page in architecture.PAGE.pages(small()) if page.architecture == ROUTER)
    grid = page.grids[0]
    edges = {row.transformers: place[0].edge for row in grid.rows for place in row.places}
    assert edges == {"9.9.9": "", "5.6.0": "load in float32: right from this transformers version on", "5.5.4": ""}


def test_a_pass_where_others_are_flaky_is_not_called_safe() -> None:
    unsteady = cell(*four(ROUTER), *four(BERT, Verdict.FLAKY))
    (shown,), pages = environment.PAGE.pages(site_index(unsteady)), architecture.PAGE.pages(site_index(unsteady))
    assert (shown.flaky, shown.racy) == (12, True)
    assert not any(page.safe for page in pages)
    assert build_answers(site_index(unsteady)).environments[0].answers == "u???"

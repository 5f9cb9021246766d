"""Version ranges: where the outcome of a case changes along versions."""

from dataclasses import replace

import pytest

from bot.site.pages import architecture
from bot.site.parts.version_ranges import find_version_ranges
from matrix.model import Cell, Check, Loader, Precision
from matrix.verdicts import Verdict
from tests.support.runs import ROUTER, case, cell
from tests.support.sites import four, pair, site_index


def test_a_version_range_has_the_first_good_and_the_first_bad_version() -> None:
    measured = [
        ("5.3.0", Verdict.CORRUPT),
        ("5.4.0", Verdict.REPORTED),
        ("5.5.4", Verdict.CRASH),
        ("5.6.0", Verdict.PASS),
        ("5.7.0", Verdict.HANG),
    ]
    site = site_index(*(cell(*four(load=verdict), environment=pair(version)) for version, verdict in measured))
    (turn,) = [
        turn
        for turn in find_version_ranges(site, ROUTER)
        if turn.loader is Loader.STOCK and turn.checks == "load in float32"
    ]
    assert [(span.outcome, span.first, span.last) for span in turn.spans] == [
        ("wrong", "5.3.0", "5.4.0"),
        ("crashes", "5.5.4", "5.5.4"),
        ("right", "5.6.0", "5.6.0"),
        ("hangs", "5.7.0", "5.7.0"),
    ]
    told = "wrong in transformers 5.3.0 to 5.4.0, crashes in 5.5.4, right in 5.6.0, hangs from 5.7.0 on"
    assert str(turn.text) == f"with deepspeed 0.19.8: {told}"


@pytest.mark.parametrize(("verdict", "word"), [(Verdict.FLAKY, "flaky"), (Verdict.NOT_PARTITIONED, "not partitioned")])
def test_what_is_neither_right_nor_wrong_is_called_neither(verdict: Verdict, word: str) -> None:
    measured = {"5.5.4": Verdict.CORRUPT, "5.6.0": verdict, "5.7.0": Verdict.PASS, "5.8.0": verdict}
    site = site_index(*(cell(*four(load=one), environment=pair(version)) for version, one in measured.items()))
    turn = next(
        turn
        for turn in find_version_ranges(site, ROUTER)
        if turn.loader is Loader.STOCK and turn.checks == "load in float32"
    )
    told = f"wrong in transformers 5.5.4, {word} in 5.6.0, right in 5.7.0, {word} from 5.8.0 on"
    assert str(turn.text) == f"with deepspeed 0.19.8: {told}"
    (page,) = architecture.PAGE.pages(site)
    edges = [place.edge for row in page.grids[0].rows for place in row.places[0]]
    along = "from this transformers version on"
    assert edges == [f"load in float32: {word} {along}", f"load in float32: right {along}", "", ""]


def test_version_ranges_that_are_alike_are_told_once() -> None:
    cells = [
        cell(*four(load=verdict), environment=pair(version, deepspeed))
        for version, verdict in [("5.5.4", Verdict.CORRUPT), ("5.6.0", Verdict.PASS)]
        for deepspeed in ("0.16.9", "0.19.8")
    ]
    both = "with deepspeed 0.16.9 and 0.19.8:"
    told = [(one.loader, one.checks, str(one.text)) for one in find_version_ranges(site_index(*cells), ROUTER)]
    assert told == [
        (Loader.STOCK, "load in float32", f"{both} wrong in transformers 5.5.4, right from 5.6.0 on"),
        (Loader.STOCK, "save in float32", f"{both} right in transformers 5.5.4 to 5.6.0"),
        (Loader.FIXED, "load and save in float32", f"{both} right in transformers 5.5.4 to 5.6.0"),
    ]  # along deepspeed nothing turns


def test_what_changes_alike_in_several_precisions_is_told_once() -> None:
    def measured(verdict: Verdict, transformers: str) -> Cell:
        cases = (
            replace(one, precision=precision)
            for precision in (Precision.FLOAT32, Precision.BF16)
            for one in four(load=verdict)
        )
        return cell(*cases, environment=pair(transformers))

    site = site_index(measured(Verdict.CORRUPT, "5.5.4"), measured(Verdict.PASS, "5.6.0"))
    first, *_ = find_version_ranges(site, ROUTER)
    assert (first.checks, [span.outcome for span in first.spans]) == ("load in float32 and bf16", ["wrong", "right"])


def test_what_says_nothing_of_zero3_is_no_side_of_a_version_range() -> None:
    nothing = cell(case(ROUTER, Verdict.UNSUPPORTED), case(ROUTER, Verdict.BASELINE_BROKEN, check=Check("save")))
    assert find_version_ranges(site_index(nothing), ROUTER) == ()

"""The arithmetic of the benchmark."""

from dataclasses import replace
from pathlib import Path

import pytest

from matrix.benchmark.goals import Goal, Launch, compute_goals, parse_launch, sample_passed, sum_set
from matrix.errors import ResultsError
from matrix.model import Case, Check, Loader, Timing
from matrix.process.messages import Message
from matrix.verdicts import Verdict
from tests.support import runs

TIMING = Timing(seconds=39.0, import_seconds=10.0, load_seconds=15.0, rss_mb=2048.0)


def launch(wall: float, loaded: int = 40, timing: Timing = TIMING) -> Launch:
    return Launch("cell", wall, timing, {}, ("a",), tuple(map(str, range(loaded))), {})


def reported(architecture: str, verdict: Verdict, check: str = "load") -> Message:
    return {"case": Case(architecture, Loader.STOCK, Check(check), verdict)}


def test_a_goal_is_met_on_its_limit_and_missed_beyond() -> None:
    assert Goal("floor", 2.0, 2.0).met
    assert not Goal("floor", 2.01, 2.0).met
    assert Goal("speed-up", 15.0, 15.0, at_least=True).met
    assert not Goal("speed-up", 14.9, 15.0, at_least=True).met


def test_ratios_within_one_run() -> None:
    singles = [launch(wall, 1) for wall in (21.0, 90.0, 20.0)]
    reached = compute_goals(launch(40.0), launch(75.0), singles)
    assert [goal.value for goal in reached] == [21.0, 40.0 / 25, 3.0, 2.0]
    assert [goal.met for goal in reached] == [True, True, False, True]


def test_a_launch_counts_the_last_word_on_each_case() -> None:
    messages: list[Message] = [
        {"environment": runs.info()},
        reported("a", Verdict.CRASH),
        reported("b", Verdict.PASS),
        reported("b", Verdict.CRASH, Check("save")),
        reported("c", Verdict.UNSUPPORTED),
        reported("a", Verdict.PASS),
        {"end": Timing(seconds=3.0, import_seconds=1.0, load_seconds=1.0, rss_mb=9.0)},
    ]
    told = parse_launch("cell", 4.0, messages)
    assert (told.passed, told.loaded) == (("a",), ("a", "b"))
    assert told.verdicts == {"crash": 1, "unsupported": 1, "pass": 2}
    assert (told.floors, told.environment["torch"]) == (2.0, "2.13.0")


def test_the_sample_is_the_same_in_whatever_order_cases_pass() -> None:
    names = [f"model:{number}" for number in range(50)]
    assert sample_passed(names, 3) == sample_passed(names[::-1], 3)
    assert set(sample_passed(names[:2], 3)) == set(names[:2])


def test_the_default_set_is_the_sum_of_complete_cells() -> None:
    cells = [runs.cell(timing=Timing(seconds=300.0), environment=runs.info(version)) for version in ("5.5.4", "5.6.0")]
    wanted = [cell.environment.id.removesuffix("+cpu") for cell in cells]
    assert sum_set(cells, wanted, Path("results")).value == 10.0
    with pytest.raises(ResultsError, match=r"no complete results of transformers-5\.6\.0"):
        sum_set([cells[0], replace(cells[1], complete=False)], wanted, Path("results"))

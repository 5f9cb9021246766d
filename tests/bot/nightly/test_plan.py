"""What a night measures: pure, from environments, what the history knows, and what is asked."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from bot.nightly.candidates import News, list_candidates
from bot.nightly.input_changes import find_input_changes
from bot.nightly.plan import NightlyRequest, PastRuns, PlannedRun, plan_nightly_run, spread_over_shards
from matrix.environments.spec import Environment
from matrix.errors import BadPlanError, UnknownNameError
from matrix.history.attempts import Attempt
from matrix.history.files import CellState
from matrix.nightly.plan import NightlyCell, NightlyPlan, Reason, nightly_plan_from_json, nightly_plan_to_json
from tests.support.nightly.plans import ASKED, DIGESTS, EARLIER, KNOWN, TIP
from tests.support.runs import cell, info

TONIGHT = date(2026, 11, 22)
OLD = Environment("5.5.4", "0.19.8", "2.13.0")
MAIN = Environment(f"git+https://github.com/huggingface/transformers@{TIP}", "0.19.8", "2.13.0", name="main")
NAME = f"{OLD.id}+cuda"


def attempt(days: int = 1, state: CellState = CellState.COMPLETE, cases: int = 4, **other: Any) -> Attempt:
    """What the history holds of `OLD`, as of so many days ago."""
    of: dict[str, Any] = {
        "catalog": DIGESTS.catalog,
        "probe": DIGESTS.probe,
        "environment": info(torch="2.13.0+cu128"),
    } | other
    header = replace(cell(), catalog=of["catalog"], probe=of["probe"], environment=of["environment"])
    return Attempt(TONIGHT - timedelta(days=days), state, cases, header, "x")


def planned(*attempts: Attempt, environment: Environment = OLD, asked: NightlyRequest = ASKED) -> PlannedRun:
    """What of one environment is planned; another, which is older, keeps it from being measured as the oldest."""
    elder = replace(OLD, transformers="4.40.2")
    others = attempt(29, environment=info("4.40.2"))
    past = PastRuns({f"{environment.id}+cuda": attempts, f"{elder.id}+cuda": [others]})
    night = plan_nightly_run([environment, elder], past, asked)
    return replace(night, plan=replace(night.plan, cells=tuple(c for c in night.plan.cells if c.environment != elder)))


def why(night: PlannedRun) -> Reason | None:
    return next((cell.why for cell in night.plan.cells), None)


def test_what_was_never_measured_is_new() -> None:
    assert why(planned()) is Reason.NEW


def test_what_is_the_same_is_not_measured_and_says_so() -> None:
    night = planned(attempt(3))
    assert why(night) is None
    assert night.skipped[0].words == "nothing changed since 2026-11-19"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"catalog": "sha256:x"}, "another catalog"),
        ({"probe": "sha256:x"}, "another probe"),
        ({"environment": info(torch="2.12.0")}, "torch was 2.12.0, is now 2.13.0"),
        ({"environment": info(deepspeed="0.19.7")}, "deepspeed was 0.19.7, is now 0.19.8"),
    ],
)
def test_what_changed_is_measured_and_says_what(other: dict[str, Any], words: str) -> None:
    (found,) = planned(attempt(**other)).plan.cells
    assert (found.why, found.words) == (Reason.CHANGED, words)


def test_another_interpreter_is_a_change_only_where_it_may_not_be_used_any_more() -> None:
    measured = attempt(environment=info(python="3.13.1")).header
    assert not find_input_changes(OLD, measured, DIGESTS)
    assert find_input_changes(replace(OLD, python="<3.13"), measured, DIGESTS)
    failed = attempt(environment=info(python="<3.13")).header
    assert not find_input_changes(replace(OLD, python="<3.13"), failed, DIGESTS)


def test_a_branch_is_measured_again_when_its_tip_moved() -> None:
    measured = info("5.24.0.dev0", packages={"transformers": f"5.24.0.dev0+git.{TIP}"})
    assert why(planned(attempt(environment=measured), environment=MAIN)) is None
    moved = replace(measured, packages={"transformers": f"5.24.0.dev0+git.{EARLIER}"})
    (found,) = planned(attempt(environment=moved), environment=MAIN).plan.cells
    assert found.words == "transformers was bbbbbbbbbbbb, is now aaaaaaaaaaaa"


def test_a_branch_that_failed_at_its_tip_is_known_by_its_pin() -> None:
    assert not find_input_changes(MAIN, attempt(environment=info(MAIN.transformers)).header, DIGESTS)
    assert find_input_changes(MAIN, attempt(environment=info(MAIN.transformers.replace(TIP, EARLIER))).header, DIGESTS)


FAILED: dict[str, Any] = {"state": CellState.FAILED, "cases": 0}


def test_a_failure_is_tried_again_for_two_nights_then_once_a_week() -> None:
    told = []
    attempts: list[Attempt] = [attempt(20, **FAILED)]
    for days in range(19, -1, -1):
        asked = replace(ASKED, moment=ASKED.moment - timedelta(days=days))
        if why(planned(*attempts, asked=asked)) is Reason.FAILED:
            attempts.insert(0, attempt(days, **FAILED))
            told.append(20 - days)
    assert told == [1, 2, 9, 16]


def test_a_failure_with_other_inputs_counts_anew() -> None:
    before = [attempt(days, catalog="sha256:x", **FAILED) for days in (2, 3, 4, 5)]
    assert why(planned(*before)) is Reason.CHANGED
    assert why(planned(attempt(1, **FAILED), *before)) is Reason.FAILED


def test_a_skipped_failure_says_when_it_is_tried_again() -> None:
    night = planned(*(attempt(days, **FAILED) for days in (1, 2, 3)))
    assert night.skipped[0].words == "tried 3 times without success, last on 2026-11-21; next try on 2026-11-28"


def test_what_no_machine_began_is_tried_every_night() -> None:
    never = [attempt(days, CellState.INCOMPLETE, cases=0) for days in (1, 2, 3, 4)]
    (found,) = planned(*never, attempt(5)).plan.cells
    assert (found.why, found.words) == (Reason.UNFINISHED, "no machine started it on 2026-11-21")
    assert why(planned(never[0], *(attempt(days, **FAILED) for days in (2, 3, 4)))) is Reason.UNFINISHED


def test_what_never_gets_to_its_end_is_tried_as_seldom_as_a_failure() -> None:
    unfinished = [attempt(days, CellState.INCOMPLETE) for days in (1, 2, 3)]
    assert why(planned(*unfinished[1:])) is Reason.UNFINISHED
    assert why(planned(*unfinished)) is None


def test_by_force_everything_is_measured() -> None:
    assert why(planned(attempt(0), asked=replace(ASKED, force=True))) is Reason.ASKED


def test_globs_choose_and_one_that_matches_nothing_is_told() -> None:
    night = plan_nightly_run([OLD, replace(OLD, transformers="5.6.0")], PastRuns(), replace(ASKED, globs=("*5.6.0*",)))
    assert [cell.environment.transformers for cell in night.plan.cells] == ["5.6.0"]
    with pytest.raises(UnknownNameError, match=r"5\.7"):
        plan_nightly_run([OLD], PastRuns(), replace(ASKED, globs=("*5.7*",)))


def test_everything_is_measured_within_thirty_days_and_a_few_each_night() -> None:
    """Nothing changes for 90 nights, and each tenth does not take place."""
    many = [replace(OLD, transformers=f"5.5.{number}") for number in range(100)]
    last = {e.id: attempt(1, environment=info(e.transformers)) for e in many}
    for days in range(90):
        asked = replace(ASKED, moment=ASKED.moment + timedelta(days=days))
        if days % 10 == 5:
            continue
        cells = plan_nightly_run(
            many, PastRuns({f"{name}+cuda": [one] for name, one in last.items()}), asked
        ).plan.cells
        assert {cell.why for cell in cells} == {Reason.OLD}
        assert len(cells) <= 8
        for found in cells:
            last[found.environment.id] = replace(last[found.environment.id], night=asked.night)
        assert max(asked.night - one.night for one in last.values()) <= timedelta(days=30)


def test_what_was_measured_tonight_is_not_measured_as_old() -> None:
    night = plan_nightly_run([OLD], PastRuns({NAME: [attempt(0)]}), ASKED)
    assert not night.plan.cells


# Machines


def cells(*whys: Reason) -> list[NightlyCell]:
    return [NightlyCell("", replace(OLD, transformers=f"5.5.{n}"), one) for n, one in enumerate(whys)]


def test_machines_are_done_at_about_the_same_time() -> None:
    many = cells(*[Reason.NEW] * 40)
    seconds = {cell.environment.id: float(10 + n % 7 * 50) for n, cell in enumerate(many)}
    dealt = spread_over_shards(many, 8, seconds)
    loads = Counter[str]()
    for one in dealt:
        loads[one.shard] += int(seconds[one.environment.id])
    assert len(loads) == 8
    assert max(loads.values()) - min(loads.values()) <= max(seconds.values())
    assert {one.environment.id for one in dealt} == seconds.keys()


def test_the_most_urgent_comes_first_on_each_machine() -> None:
    dealt = spread_over_shards(cells(Reason.OLD, Reason.NEW, Reason.FAILED, Reason.CHANGED), 1, {})
    assert [one.why for one in dealt] == [Reason.NEW, Reason.CHANGED, Reason.FAILED, Reason.OLD]


def test_what_is_not_known_counts_as_the_longest() -> None:
    dealt = spread_over_shards(cells(*[Reason.NEW] * 4), 2, {OLD.id.replace("5.5.4", "5.5.0"): 100.0})
    assert sorted(Counter(one.shard for one in dealt).values()) == [2, 2]
    assert not spread_over_shards([], 8, {})


# What belongs to a night

NEWEST = KNOWN[0]


def names(news: News) -> set[str]:
    return {e.id for e in list_candidates(KNOWN, "nightly", news)} - {e.id for e in KNOWN}


def test_new_releases_are_crossed_with_the_newest_ones() -> None:
    news = News({"transformers": ["5.0.0", NEWEST.transformers, "99.1.0"], "deepspeed": ["99.2.0"]})
    assert names(news) == {
        f"transformers-{t}+deepspeed-{d}+torch-2.13.0"
        for t, d in [("99.1.0", NEWEST.deepspeed), (NEWEST.transformers, "99.2.0"), ("99.1.0", "99.2.0")]
    }


def test_of_many_new_releases_the_newest_are_taken() -> None:
    news = News({"transformers": [f"99.{minor}.0" for minor in range(9, 13)]})
    assert {name.split("+")[0] for name in names(news)} == {f"transformers-99.{minor}.0" for minor in (10, 11, 12)}


def test_three_new_releases_of_each_make_every_pair_with_the_newest_known_ones() -> None:
    newer = ["99.1.0", "99.2.0", "99.3.0"]
    assert len(names(News({"transformers": newer, "deepspeed": newer}))) == 4 * 4 - 1


def test_tips_are_named_by_their_branch_and_pinned_to_their_commit() -> None:
    news = News({"deepspeed": ["99.2.0"]}, {"transformers": TIP, "deepspeed": EARLIER})
    found = {e.id: e for e in list_candidates(KNOWN, "nightly", news) if e.name}
    assert list(found) == [
        "transformers-main+deepspeed-99.2.0+torch-2.13.0",
        f"transformers-{NEWEST.transformers}+deepspeed-main+torch-2.13.0",
        "transformers-main+deepspeed-main+torch-2.13.0",
    ]
    both = found["transformers-main+deepspeed-main+torch-2.13.0"]
    assert both.commits == {"transformers": TIP, "deepspeed": EARLIER}
    assert f"transformers @ git+https://github.com/huggingface/transformers@{TIP}" in both.requirements


def test_without_news_the_set_alone_belongs_to_a_night() -> None:
    assert not names(News(problems=("the package index is on fire",)))
    assert [e.id for e in list_candidates(KNOWN, "last-broken", News(tips={"transformers": TIP}))] == [
        e.id for e in KNOWN if "last-broken" in e.sets
    ]
    with pytest.raises(UnknownNameError, match="nightyl"):
        list_candidates(KNOWN, "nightyl", News())


# The plan as a job's output


def whole() -> NightlyPlan:
    tips = News({"transformers": ["99.0.0", "99.1.0", "99.2.0"]}, {"transformers": TIP, "deepspeed": EARLIER})
    return plan_nightly_run(list_candidates(KNOWN, "nightly", tips), PastRuns(), ASKED).plan


def test_a_plan_is_read_back_and_fits_into_a_variable_of_a_process() -> None:
    text = nightly_plan_to_json(whole())
    assert nightly_plan_from_json(text) == whole()
    assert len(text) < 100_000  # Linux takes 131,072 bytes


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"device":"cuda"', '"device":"tpu"', "device"),
        ('"shard":"shard-001"', '"shard":"../x"', "not a valid folder name"),
        ('"transformers":"5.5.4"', '"transformers":"--help"', "neither a release nor a commit"),
        (f"transformers@{TIP}", "transformers@main", "neither a release nor a commit"),
        ('"catalog":"sha256:', '"catalog":"sha1:', "catalog and probe must be digests"),
        ('"night"', '"more":1,"night"', "unknown"),
        ("{", "", "JSON"),
    ],
)
def test_no_other_plan_is_measured(old: str, new: str, said: str) -> None:
    text = nightly_plan_to_json(whole())
    assert old in text
    with pytest.raises(BadPlanError, match=said):
        nightly_plan_from_json(text.replace(old, new))


def test_a_cell_that_was_not_begun_has_a_record_that_says_what_it_should_have_been() -> None:
    whole_plan = whole()
    found = whole_plan.unmeasured(whole_plan.cells[0])
    assert found.environment.id == whole_plan.name(whole_plan.cells[0])
    assert (found.complete, found.planned, found.error, found.started) == (False, 4, None, "2026-11-22T01:37:00Z")
    assert not find_input_changes(whole_plan.cells[0].environment, found, DIGESTS)

"""Selectors, choices, and what is left to measure."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.catalog.select import select
from matrix.checks import CHECKS, Axes, case_keys
from matrix.errors import UnknownNameError, closest
from matrix.job import Task
from matrix.measure.tasks import filter_remaining, parse_choices, plan_tasks
from matrix.model import Architecture, CaseKey, Check, Failure, Loader, Precision
from matrix.verdicts import Verdict
from tests.support.runs import case, finding

BART, BERT, LLAMA = (
    Architecture(name, "other")
    for name in ("bart:BartForConditionalGeneration", "bert:BertModel", "llama:LlamaForCausalLM")
)
CATALOG = (BART, BERT, LLAMA)
BOTH = (Check("load"), Check("save"))


@pytest.mark.parametrize(
    ("globs", "chosen"),
    [
        ([], CATALOG),
        (["bart:BartForConditionalGeneration"], (BART,)),
        (["bert"], (BERT,)),
        (["LlamaForCausalLM"], (LLAMA,)),
        (["b*"], (BART, BERT)),
        (["*forcausallm"], (LLAMA,)),
        (["LLAMA:*"], (LLAMA,)),
        (["llama", "b?rt", "bert"], CATALOG),
    ],
)
def test_a_selector_is_a_glob_over_id_type_or_class_in_any_case(
    globs: list[str], chosen: tuple[Architecture, ...]
) -> None:
    assert select(CATALOG, globs) == chosen


def test_a_selector_matches_whole_names() -> None:
    with pytest.raises(UnknownNameError):
        select(CATALOG, ["lam"])


def test_every_unknown_selector_is_reported_with_close_matches() -> None:
    with pytest.raises(UnknownNameError) as raised:
        select(CATALOG, ["bert", "lama", "BertModle", "zzz"])
    first, second, third = str(raised.value).splitlines()
    assert first.startswith("unknown architecture 'lama': choose from llama:LlamaForCausalLM, bart:")
    assert second.startswith("unknown architecture 'BertModle': choose from bert:BertModel")
    assert third.startswith("unknown architecture 'zzz': choose from bart:")


def test_what_begins_with_a_name_is_closer_than_what_is_spelled_like_it() -> None:
    known = ("albert:AlbertModel", "bert_generation:BertGenerationDecoder")
    assert closest("BERT*", known) == known[::-1]


@pytest.mark.parametrize("name", ["lamma", "LlamaForCasualLM", "*ForCausalLM"])
def test_either_part_of_an_id_may_be_close(name: str) -> None:
    assert closest(name, [entry.id for entry in CATALOG])[0] == LLAMA.id


def test_choices_are_trimmed_and_each_counts_once() -> None:
    assert parse_choices("loader", Loader, " fixed,stock , fixed,") == (Loader.FIXED, Loader.STOCK)


@pytest.mark.parametrize("text", ["", " , ", "Stock"])
def test_no_choice_or_one_in_another_case_is_unknown(text: str) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown loader .*stock"):
        parse_choices("loader", Loader, text)


def test_every_unknown_choice_is_reported() -> None:
    with pytest.raises(UnknownNameError) as raised:
        parse_choices("check", CHECKS, "laod,save,sav")
    assert str(raised.value) == "unknown check 'laod': did you mean load?\nunknown check 'sav': did you mean save?"


def test_a_plan_loads_each_architecture_once_per_loader() -> None:
    assert plan_tasks([BERT, LLAMA], Axes((Loader.STOCK,), BOTH, (Precision.FLOAT32,))) == (
        Task(BERT.id, Loader.STOCK, BOTH),
        Task(LLAMA.id, Loader.STOCK, BOTH),
    )


ONE_PRECISION = Axes(checks=BOTH, precisions=(Precision.FLOAT32,))
keys = st.sampled_from([key for one in CATALOG for key in case_keys(one.id, ONE_PRECISION.variants)])


@given(st.sets(keys))
def test_done_and_remaining_are_the_plan(done: set[CaseKey]) -> None:
    tasks = plan_tasks(CATALOG, ONE_PRECISION)
    left = [key for task in filter_remaining(tasks, done) for key in task.keys]
    assert sorted([*left, *done], key=str) == sorted((key for task in tasks for key in task.keys), key=str)
    assert all(task.checks for task in filter_remaining(tasks, done))


@given(st.sampled_from(Verdict), st.integers(1, 5), st.integers(0, 4))
def test_a_case_is_believed_when_settled_or_rerun_as_often_as_it_needs(
    verdict: Verdict, runs: int, confirmations: int
) -> None:
    settled = verdict in {Verdict.PASS, Verdict.UNSUPPORTED, Verdict.BASELINE_BROKEN, Verdict.NOT_PARTITIONED}
    needed = min(confirmations, 1) if verdict in {Verdict.CRASH, Verdict.FLAKY} else confirmations
    seen = case(verdict=verdict, findings=(finding(),), confirmed=(1, runs))
    assert seen.believed(confirmations) is (settled or runs > needed)


def test_a_rank_that_died_is_rerun_as_often_as_asked() -> None:
    died = case(verdict=Verdict.CRASH, error=Failure("RankKilled", "the rank was ended by SIGKILL"), confirmed=(2, 2))
    assert not died.believed(2)
    assert replace(died, confirmed=(3, 3)).believed(2)

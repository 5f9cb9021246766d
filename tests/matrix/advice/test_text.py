"""Advice as it is told: whole texts, so that no line is missing, twice or where it does not belong."""

from typing import Any

import pytest

from matrix.advice.advice import Ask
from matrix.advice.fixed_loader import FIXED_LOADER
from matrix.advice.known import load_known
from matrix.advice.safety import Tried
from matrix.advice.text import advice_lines, advice_values
from matrix.model import Check, Configuration, Loader, Precision, Variant
from matrix.verdicts import Verdict
from tests.support.advice import advise, broken, tried

NEWER = [tried(f"5.{minor}.0") for minor in range(6, 12)]
NONE = "no pair of releases is known to be safe"
DOUBT = "not known to be safe or unsafe: measured only in part, not on every device, too long ago, or reruns disagree"


def told(*known: Tried, **asked: Any) -> list[str]:
    return list(advice_lines(advise("m", known, Ask(**asked))))


def test_what_is_not_safe_has_its_reason_a_way_out_and_the_five_nearest_safe_pairs() -> None:
    assert told(broken("5.5.4"), *NEWER, transformers="5.5.4") == [
        "m: transformers 5.5.4 is not safe in float32 with the stock loader",
        "  transformers 5.5.4, deepspeed 0.19.8, cpu: not safe in float32: load corrupt, save pass (measured 2026-11-25)",
        f"    with the fixed loader it is safe in float32: load, save ({FIXED_LOADER})",
        "safe pairs, the nearest first:",
        *(
            f"  transformers 5.{minor}.0, deepspeed 0.19.8, cpu: safe in float32: load, save (measured 2026-11-25)"
            for minor in range(6, 11)
        ),
    ]


def test_what_is_known_of_a_failure_is_told_with_its_links_and_the_release_that_mends_it() -> None:
    known = tuple(one for one in load_known() if one.id == "new-head-never-initialised")
    lines = told(broken("4.57.6", known=known), transformers="4.57.6")
    assert lines[2] == (
        "    known upstream (https://github.com/huggingface/transformers/issues/28244, "
        "https://github.com/huggingface/transformers/pull/28245): a new classification head is never initialised, "
        "nor anything else that the checkpoint does not have; fixed in transformers 5.0.0"
    )
    assert "known upstream" not in "".join(
        told(broken("4.57.6", known=known), transformers="4.57.6", loader=Loader.FIXED)
    )


def test_a_safe_pair_that_was_asked_for_needs_no_others() -> None:
    assert told(*NEWER, transformers="5.6.0", deepspeed="0.19.8") == [
        "m: transformers 5.6.0 with deepspeed 0.19.8 is safe in float32 with the stock loader",
        "  transformers 5.6.0, deepspeed 0.19.8, cpu: safe in float32: load, save (measured 2026-11-25)",
    ]


def test_a_version_that_is_safe_with_one_deepspeed_only_is_not_called_safe_altogether() -> None:
    assert told(tried("5.6.0"), broken("5.6.0", deepspeed="0.16.9"), transformers="5.6.0")[0] == (
        "m: transformers 5.6.0 is safe in float32 with the stock loader in 1 of 2 measured pairs"
    )


def test_without_versions_it_is_said_how_many_pairs_are_safe() -> None:
    assert told(broken("5.5.4"), *NEWER[:1], loader=Loader.STOCK) == [
        "m: 1 of 2 measured pairs are safe with the stock loader",
        "safe pairs, the newest first:",
        "  transformers 5.6.0, deepspeed 0.19.8, cpu: safe in float32: load, save (measured 2026-11-25)",
    ]


def in_each(transformers: str = "5.6.0", **verdicts: Verdict) -> Tried:
    """An environment measured in the precisions named, each with this verdict on its load, and a save that passes."""
    cases = {
        Variant(Loader.STOCK, Check(check), Precision(name)): verdict if check == "load" else Verdict.PASS
        for name, verdict in verdicts.items()
        for check in ("load", "save")
    }
    return tried(transformers, verdicts=cases)


def test_safe_names_every_precision_and_check_that_it_rests_on() -> None:
    both = in_each(float32=Verdict.PASS, bf16=Verdict.PASS)
    assert told(both, deepspeed="0.19.8") == [
        "m: deepspeed 0.19.8 is safe in bf16 and float32 with the stock loader",
        "  transformers 5.6.0, deepspeed 0.19.8, cpu: safe in bf16 and float32: load, save (measured 2026-11-25)",
    ]
    assert told(both, tried("5.7.0"), deepspeed="0.19.8")[0] == (
        "m: deepspeed 0.19.8 is safe in float32 with the stock loader"
    ), "which is all that holds in both pairs"


def test_unsafe_in_one_precision_and_safe_in_another_is_one_sentence() -> None:
    lines = told(in_each(float32=Verdict.PASS, bf16=Verdict.NARROWED), transformers="5.6.0")
    assert lines[:2] == [
        "m: transformers 5.6.0 is not safe in bf16 with the stock loader",
        (
            "  transformers 5.6.0, deepspeed 0.19.8, cpu: not safe in bf16: load narrowed, save pass; "
            "safe in float32: load, save (measured 2026-11-25)"
        ),
    ]


def test_one_precision_is_answered_for_alone() -> None:
    known = in_each(float32=Verdict.PASS, bf16=Verdict.NARROWED), tried("5.7.0")
    assert (
        told(*known, precision=Precision.FLOAT32)[0]
        == "m: 2 of 2 measured pairs are safe in float32 with the stock loader"
    )
    assert told(*known, precision=Precision.BF16) == [
        "m: 0 of 1 measured pairs are safe in bf16 with the stock loader",
        NONE,
    ]
    assert told(*known, precision=Precision.BF16, transformers="5.7.0")[:2] == [
        "m: transformers 5.7.0 was not measured in bf16",
        "  transformers 5.7.0, deepspeed 0.19.8, cpu: unknown: not measured in bf16 (last tried 2026-11-25)",
    ]
    assert told(*known, precision=Precision.FP16)[0] == "m: nothing is known in fp16"


def test_what_a_device_cannot_do_is_neither_safe_nor_unsafe() -> None:
    impossible = {Variant(Loader.STOCK, Check("save"), Precision.FP16): Verdict.UNSUPPORTED}
    one = in_each(float32=Verdict.PASS, fp16=Verdict.PASS)
    line = told(tried("5.6.0", verdicts={**one.verdicts, **impossible}), deepspeed="0.19.8")[1]
    assert "safe in float32: load, save; unknown in fp16: load pass, save not tested (" in line


def test_another_configuration_is_told_of_and_promises_nothing() -> None:
    mixed = {Variant(Loader.STOCK, Check("load"), Precision.BF16, Configuration.MIXED_DTYPES): Verdict.NARROWED}
    found = tried("5.6.0", verdicts={**in_each(bf16=Verdict.PASS).verdicts, **mixed})
    lines = told(found, deepspeed="0.19.8")
    assert lines[0] == "m: deepspeed 0.19.8 is safe in bf16 with the stock loader"
    assert "not safe in bf16 mixed_dtypes: load narrowed, save not tested; safe in bf16: load, save (" in lines[1]


@pytest.mark.parametrize(
    ("known", "asked", "lines"),
    [
        ([], {}, ["m: nothing is known", NONE]),
        ([tried("5.6.0", stale=True)], {}, [f"m: {DOUBT}", NONE]),
        ([broken("5.6.0")], {}, ["m: 0 of 1 measured pairs are safe with the stock loader", NONE]),
        ([broken("5.6.0")], {"transformers": "5.7.0"}, ["m: transformers 5.7.0 was not measured", NONE]),
    ],
    ids=["nothing", "stale", "unsafe", "not measured"],
)
def test_where_nothing_is_safe_that_is_said_once(known: list[Tried], asked: dict[str, str], lines: list[str]) -> None:
    assert told(*known, **asked) == lines


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (tried("5.6.0", stale=True), "unknown in float32: load pass, save pass (measured 2026-11-25, stale)"),
        (
            tried("5.6.0", flaky=20),
            "unknown in float32: load pass, save pass (measured 2026-11-25, but reruns disagree)",
        ),
        (broken("5.6.0", flaky=20), "not safe in float32: load corrupt, save pass (measured 2026-11-25)"),
        (
            tried("5.6.0", verdicts={Variant(Loader.STOCK, Check("save")): Verdict.PASS}),
            "unknown in float32: load not tested, save pass (measured 2026-11-25)",
        ),
        (
            broken("5.6.0", Verdict.NOT_PARTITIONED),
            "not safe in float32: load not partitioned, save pass (measured 2026-11-25)",
        ),
    ],
)
def test_what_makes_a_measurement_doubtful_is_said_of_what_it_makes_unknown(one: Tried, line: str) -> None:
    assert told(one, deepspeed="0.19.8")[1] == f"  transformers 5.6.0, deepspeed 0.19.8, cpu: {line}"


def test_the_fixed_loader_is_no_way_out_for_who_has_asked_for_it() -> None:
    assert "    with the fixed loader" not in "\n".join(
        told(broken("5.5.4"), transformers="5.5.4", loader=Loader.FIXED)
    )


def test_programs_get_the_question_the_answer_and_each_pair() -> None:
    values = advice_values(advise("m", [broken("5.5.4"), tried("5.6.0")], Ask(transformers="5.5.4")))
    asked, safe = values.pop("asked"), values.pop("safe")
    assert values == {
        "architecture": "m",
        "transformers": "5.5.4",
        "deepspeed": None,
        "device": None,
        "loader": "stock",
        "precision": None,
        "answer": "unsafe",
        "night": "2026-11-25",
        "days": 0,
    }
    assert [one["transformers"] for one in asked] == ["5.5.4"]
    assert safe == [
        {
            "environment": "transformers-5.6.0+deepspeed-0.19.8+torch-2.13.0+cpu",
            "transformers": "5.6.0",
            "deepspeed": "0.19.8",
            "device": "cpu",
            "night": "2026-11-25",
            "verdicts": {"stock-load": "pass", "stock-save": "pass", "fixed-load": "pass", "fixed-save": "pass"},
            "stale": False,
            "flaky": 0,
            "known": [],
            "answers": {"float32": "safe"},
        }
    ]
    pinned = advice_values(advise("m", [], Ask(deepspeed="0.19.8")))
    assert (pinned["transformers"], pinned["deepspeed"], pinned["answer"]) == (None, "0.19.8", "unknown")

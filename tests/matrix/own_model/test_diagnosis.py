"""Safe or not, and what to do about it: from measured cells to the words of `check`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from matrix.advice.safety import Answer
from matrix.catalog.lock import ScannedVersion
from matrix.model import (
    Case,
    Cell,
    Check,
    Failure,
    Kind,
    Loader,
    Note,
    Precision,
    ReportDifference,
    ReportLimit,
    ReportPart,
)
from matrix.own_model.diagnosis import Diagnosis, add_reasons, diagnose
from matrix.own_model.stated import Stated, read_stated
from matrix.own_model.text import build_diagnosis_values, format_diagnosis
from matrix.process.messages import Resolved
from matrix.verdicts import Verdict
from tests.support.runs import ROUTER, case, cell, finding, info

MINE = f"{ROUTER}@mine"
TINY = Resolved(MINE, 35_232, ("Router.bias",), 671_026_404_352, ())


def measured(stock: Verdict, fixed: Verdict = Verdict.PASS, name: str = MINE, transformers: str = "5.5.4") -> Cell:
    """A cell with `stock` and `fixed` as the verdicts of the load, and a right save."""
    loads = [case(name, verdict, loader=loader) for loader, verdict in zip(Loader, (stock, fixed), strict=True)]
    saves = [case(name, loader=loader, check=Check("save")) for loader in Loader]
    return cell(*loads, *saves, environment=info(transformers))


def told(measurement: Cell, *pairs: str, resolved: Resolved = TINY) -> Diagnosis:
    return diagnose(measurement, resolved, pairs)


def words(found: Diagnosis) -> str:
    return "\n".join(format_diagnosis(found))


def test_every_value_right_is_safe() -> None:
    found = told(measured(Verdict.PASS))
    assert found.answer is Answer.SAFE
    assert words(found).splitlines() == [
        f"SAFE: {MINE}, in float32: load, save",
        "with transformers 5.5.4, deepspeed 0.19.8, torch 2.13.0; 2 ranks, cpu",
        "measured tiny: 35,232 of 671,026,404,352 parameters, 1 buffer site (all of them)",
        "from_pretrained in float32: every value right on every rank",
        "save_pretrained, given the consolidated state, in float32: every value right on every rank",
    ]


def in_bf16(stock: Verdict, save: Verdict = Verdict.PASS, **other: Any) -> tuple[Case, ...]:
    """The cases of the stock loader in bf16, of which the load has this verdict."""
    return (
        case(MINE, stock, precision=Precision.BF16, **other),
        case(MINE, save, check=Check("save"), precision=Precision.BF16),
    )


def right_in_float32(*more: Case) -> Cell:
    """A cell in which everything is right in float32, with more cases."""
    right = measured(Verdict.PASS, transformers="5.24.0")
    return replace(right, cases=(*right.cases, *more))


def test_safe_names_every_precision_and_lines_that_are_alike_stand_once() -> None:
    lines = words(told(right_in_float32(*in_bf16(Verdict.PASS)))).splitlines()
    assert lines[0] == f"SAFE: {MINE}, in bf16 and float32: load, save"
    assert lines[3:] == [
        "from_pretrained in bf16 and float32: every value right on every rank",
        "save_pretrained, given the consolidated state, in bf16 and float32: every value right on every rank",
    ]


def test_safe_says_which_check_was_made_in_one_precision_only() -> None:
    reason = Failure("NotApplicableError", "it is made in float32 only")
    trained = [
        case(MINE, Verdict.PASS, check=Check("forward")),
        case(MINE, Verdict.UNSUPPORTED, check=Check("forward"), precision=Precision.BF16, error=reason),
    ]
    lines = words(told(right_in_float32(*in_bf16(Verdict.PASS), *trained))).splitlines()
    assert lines[0] == f"SAFE: {MINE}, in bf16 and float32: load, save, forward (in float32 only)"
    assert "one forward and one step of SGD in bf16: does not apply: it is made in float32 only" in lines


def test_unsafe_in_one_precision_and_safe_in_another_is_one_sentence() -> None:
    rounded = finding(kind=Kind.ROUNDED, reported_missing=False)
    found = told(right_in_float32(*in_bf16(Verdict.NARROWED, findings=(rounded,))))
    assert words(found).splitlines()[0] == f"UNSAFE: {MINE}, in bf16; safe in float32: load, save"
    assert "  buffer Router.bias is rounded to a narrower dtype on ranks 0, 1 (" in words(found)
    assert build_diagnosis_values(found)["answers"] == {"float32": "safe", "bf16": "unsafe"}


def test_a_precision_that_was_to_be_measured_and_was_not_is_not_safe() -> None:
    both = Stated((Precision.FLOAT32, Precision.BF16), "as --precision says")
    assert diagnose(measured(Verdict.PASS), TINY, (), both).answer is Answer.UNKNOWN


def test_a_precision_that_cannot_be_had_here_has_its_reason() -> None:
    error = Failure("UnsupportedPrecisionError", "deepspeed does not train in fp16 on cpu")
    load = case(MINE, precision=Precision.FP16)
    save = case(MINE, Verdict.UNSUPPORTED, check=Check("save"), precision=Precision.FP16, error=error)
    alone = told(cell(load, save, environment=info("5.24.0")))
    assert alone.answer is Answer.UNKNOWN
    assert "in fp16: not possible here: UnsupportedPrecisionError: deepspeed does not train in fp16 on cpu" in words(
        alone
    )


def test_what_is_not_quantized_says_nothing_of_what_is() -> None:
    stated = read_stated({"torch_dtype": "float32", "quantization_config": {"quant_method": "bitsandbytes"}})
    found = diagnose(measured(Verdict.PASS), TINY, (), stated)
    first, *others = words(found).splitlines()
    assert (found.answer, first) == (
        Answer.UNKNOWN, f"NOT KNOWN TO BE SAFE: {MINE}; not measured: quantization (bitsandbytes)")  # fmt: skip
    assert "what was measured is not quantized, so the quantized model is not known to be safe" in others


def test_a_quantized_model_that_is_unsafe_in_one_precision_is_safe_in_none() -> None:
    stated = read_stated({"quantization_config": {"quant_method": "fp8"}})
    rounded = finding(kind=Kind.ROUNDED, reported_missing=False)
    found = diagnose(right_in_float32(*in_bf16(Verdict.NARROWED, findings=(rounded,))), TINY, (), stated)
    assert words(found).splitlines()[0] == f"UNSAFE: {MINE}, in bf16; not measured: quantization (fp8)"
    assert build_diagnosis_values(found)["answers"] == {"float32": "unknown", "bf16": "unsafe"}


def test_a_note_says_what_a_plain_call_does() -> None:
    note = Note("model.save_pretrained(folder)", "writes 121 of 124 tensors empty, without an error", (0, 1))
    cases = measured(Verdict.PASS).cases
    found = told(cell(*cases[:2], replace(cases[2], notes=(note,)), cases[3], environment=info("5.5.4")))
    assert found.answer is Answer.SAFE
    assert words(found).splitlines()[-1] == (
        "  note: on a ZeRO-3 model, a plain model.save_pretrained(folder) writes 121 of 124 tensors empty, without an error"
    )
    assert build_diagnosis_values(found)["checks"][1]["notes"][0]["about"] == "model.save_pretrained(folder)"


@pytest.mark.parametrize(
    "unseen", [replace(TINY, lost=("Norm.scale",)), replace(TINY, lost=None, unknown="RuntimeError: no meta")]
)
def test_what_was_not_measured_is_never_safe(unseen: Resolved) -> None:
    found = told(measured(Verdict.PASS), resolved=unseen)
    assert found.answer is Answer.UNKNOWN
    assert "--full measures" in words(found)


def test_a_case_that_is_not_there_is_not_safe() -> None:
    whole = measured(Verdict.PASS)
    assert told(replace(whole, cases=whole.cases[:1])).answer is Answer.UNKNOWN
    assert told(replace(whole, cases=())).answer is Answer.UNKNOWN


def test_wrong_tensors_of_a_site_are_one_line_with_kind_and_ranks() -> None:
    wrong = measured(Verdict.CORRUPT)
    layers = (finding("layers.0.bias"), finding("layers.1.bias"), finding("norm.mean", site="Norm.mean", ranks=(1,)))
    text = words(told(replace(wrong, cases=(replace(wrong.cases[0], findings=layers), *wrong.cases[1:]))))
    assert "  buffer Router.bias holds its initial value on ranks 0, 1 (layers.0.bias and 1 more)\n" in text
    assert "  buffer Norm.mean holds its initial value on rank 1 (norm.mean)\n" in text


def test_a_wrong_report_is_not_safe_and_what_the_release_never_tells_is_said() -> None:
    lost = ReportDifference(ReportPart.MISSING, ("layers.0.bias",), (), (1, 0), (1,))
    whole = measured(Verdict.MISREPORTED)
    limits = {ReportPart.UNEXPECTED: ReportLimit.ALWAYS_EMPTY, ReportPart.ERRORS: ReportLimit.ON_RANK_0_ONLY}
    silent = replace(whole.environment, report_limits=limits)
    cases = (replace(whole.cases[0], report=(lost,)), *whole.cases[1:])
    found = told(replace(whole, environment=silent, cases=cases))
    assert found.answer is Answer.UNSAFE
    assert "  missing_keys on rank 1 names what a plain load does not name: layers.0.bias\n" in words(found)
    assert "never tells it under ZeRO-3: unexpected_keys is always empty. Given on rank 0 only" in words(found)
    assert ", and compared over all ranks together: error_msgs.\n" in words(found)
    assert build_diagnosis_values(found)["checks"][0]["report"][0]["added"] == ("layers.0.bias",)


def test_old_versions_are_told_to_upgrade_or_to_use_the_fixed_loader() -> None:
    text = words(told(measured(Verdict.CORRUPT)))
    assert '- upgrade: pip install "transformers>=5.6.0"' in text
    assert text.endswith("    import zero3_buffers\n    zero3_buffers.install()")
    (copied,) = [Path(line.strip()) for line in text.splitlines() if line.endswith(".py")]
    assert copied.is_absolute()
    assert copied.is_file()


def test_a_newer_transformers_is_not_promised_to_help_where_the_fix_does_not() -> None:
    assert told(measured(Verdict.CRASH, Verdict.CRASH)).since == ""
    assert told(measured(Verdict.CORRUPT, transformers="5.23.0")).since == ""
    assert "report it upstream" in words(told(measured(Verdict.CRASH, Verdict.CRASH)))


def unsaved() -> Cell:
    """A load that only the fixed loader gets right, and a save that fails in one process too."""
    whole = measured(Verdict.CORRUPT)
    saves = [case(MINE, Verdict.BASELINE_BROKEN, loader=loader, check=Check("save")) for loader in Loader]
    return replace(whole, cases=(*whole.cases[:2], *saves))


def test_a_save_that_fails_without_zero3_too_does_not_hide_what_the_fix_does_for_the_load() -> None:
    found = unsaved()
    assert told(found).since == "5.6.0"
    assert "look at the output of save_pretrained first" in words(told(found))
    wrong = replace(found.cases[3], findings=(finding(),))
    assert told(replace(found, cases=(*found.cases[:3], wrong))).since == ""
    assert told(replace(found, cases=found.cases[:3])).since == "", "whose save was not checked"


def test_a_pair_that_was_measured_right_is_named_and_a_safe_model_needs_none() -> None:
    assert "known to be safe: transformers-5.6.0\n" in words(
        told(measured(Verdict.CORRUPT), "transformers-5.6.0", "other")
    )
    assert "known to be safe" not in words(told(measured(Verdict.PASS), "transformers-5.6.0"))


def with_error(verdict: Verdict, error: Failure) -> Cell:
    whole = measured(verdict, verdict)
    return replace(
        whole, cases=tuple(replace(one, error=error) if one.verdict is verdict else one for one in whole.cases)
    )


def test_a_crash_says_what_raised_where_without_the_terminals_codes() -> None:
    error = Failure("ValueError", "Fan in\x1b[31m and\nfan out", "transformers/init.py:3 in fill", (0, 1))
    text = words(told(with_error(Verdict.CRASH, error)))
    assert r"ValueError: Fan in\x1b[31m and fan out, at transformers/init.py:3 in fill on ranks 0, 1" in text


def test_what_cannot_be_loaded_without_zero3_either_is_not_blamed_on_it() -> None:
    found = told(with_error(Verdict.BASELINE_BROKEN, Failure("KeyError", "'x'")))
    assert found.answer is Answer.UNKNOWN
    assert "fails in one process without ZeRO-3 too: KeyError: 'x'" in words(found)
    assert "look at the model first" in words(found)


@pytest.mark.parametrize(
    ("looked", "reason"),
    [
        (ScannedVersion({MINE: "needs\ntimm"}), "it is not checked: needs timm"),
        (ScannedVersion({}, broken={MINE: "KeyError: 'x'"}), "a plain load of it fails: KeyError: 'x'"),
    ],
)
def test_a_reason_that_the_catalog_knows_is_told_instead_of_looking_for_one(
    looked: ScannedVersion, reason: str
) -> None:
    found = add_reasons(told(measured(Verdict.BASELINE_BROKEN)), looked)
    assert words(found).splitlines()[-1] == f"- known of {MINE} with transformers 5.5.4: {reason}"
    assert list(build_diagnosis_values(found)["reasons"]) == [MINE]


def test_what_the_catalog_does_not_check_is_not_safe_and_what_it_found_broken_and_is_not_is() -> None:
    right = told(measured(Verdict.PASS))
    unlike = add_reasons(right, ScannedVersion({MINE: "its tiny model has no Router.bias"}))
    assert (unlike.answer, unlike.answers) == (Answer.UNKNOWN, {Precision.FLOAT32: Answer.UNKNOWN})
    assert add_reasons(right, ScannedVersion({"a:B": "needs timm"}, broken={MINE: "KeyError: 'x'"})) == right
    assert add_reasons(right, ScannedVersion({MINE: "needs torchvision"})) == right, "which must be installed here"
    assert add_reasons(told(unsaved()), ScannedVersion({MINE: "needs torchvision"})).reasons == {}, "for it was loaded"


def test_wrong_values_are_not_safe_wherever_they_come_from() -> None:
    plain = measured(Verdict.BASELINE_BROKEN)
    cases = (replace(plain.cases[0], findings=(finding(),)), *plain.cases[1:])
    assert told(replace(plain, cases=cases)).answer is Answer.UNSAFE


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.PASS])
def test_every_verdict_but_pass_has_words_and_is_not_safe(verdict: Verdict) -> None:
    found = told(measured(verdict))
    assert found.answer is not Answer.SAFE
    assert "from_pretrained in float32: " in words(found)


def test_of_several_architectures_each_has_its_own_lines() -> None:
    both = replace(
        measured(Verdict.CORRUPT), cases=(*measured(Verdict.CORRUPT).cases, *measured(Verdict.PASS, name="a:B").cases)
    )
    lines = words(told(both)).splitlines()
    assert "a:B from_pretrained in float32: every value right on every rank" in lines
    assert sum("Router.bias" in line for line in lines) == 1


def test_the_answer_is_json() -> None:
    values = json.loads(json.dumps(build_diagnosis_values(told(measured(Verdict.CORRUPT)))))
    assert (values["answer"], values["architectures"], values["fixed_loader_helps"]) == ("unsafe", [MINE], True)
    assert (values["wrong"][0]["site"], values["wrong"][0]["ranks"]) == ("Router.bias", [0, 1])


def test_what_raised_is_in_the_json_too() -> None:
    values = json.loads(
        json.dumps(build_diagnosis_values(told(with_error(Verdict.CRASH, Failure("ValueError", "no")))))
    )
    assert [check["error"] and check["error"]["type"] for check in values["checks"]] == ["ValueError", None]


def test_many_wrong_sites_stay_a_few_lines() -> None:
    wrong = measured(Verdict.CORRUPT)
    many = tuple(finding(f"layers.{n}.bias", site=f"Router{n}.bias") for n in range(50))
    text = words(told(replace(wrong, cases=(replace(wrong.cases[0], findings=many), *wrong.cases[1:]))))
    assert "  and 42 more; --json lists all" in text
    assert isinstance(wrong.cases[0], Case)

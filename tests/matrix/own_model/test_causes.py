"""Why a model is rounded, as far as that is known, and what `check` advises then. The cases are as they were measured."""

from dataclasses import replace
from typing import Any

import pytest

from matrix.advice.known import load_known
from matrix.model import Case, Cell, Check, Finding, Kind, Loader, Precision, ReportDifference, ReportPart, What
from matrix.own_model.causes import find_causes
from matrix.own_model.diagnosis import Diagnosis, diagnose
from matrix.own_model.suggestions import suggest_fixes
from matrix.process.messages import Resolved
from matrix.verdicts import Verdict
from tests.support.runs import case, cell, finding, info

PINNED = "https://github.com/deepspeedai/DeepSpeed/pull/7867"
WEIGHT = ("parameter", "Ernie4_5_MoeTopKRouter.weight", True)
STATICS = ("parameter", "Ernie4_5_MoeStatics.e_score_correction_bias", True)
ROUTER = ("buffer", "DeepseekV3TopkRouter.e_score_correction_bias", True)
LFM = ("buffer", "Lfm2MoeSparseMoeBlock.expert_bias", False)
CODEBOOK = ("buffer", "MimiEuclideanCodebook.initialized", False)
ROTARY = ("nonpersistent", "DeepseekV3RotaryEmbedding.inv_freq", True)


def rounded(what: str, site: str, at_stage_0: bool) -> Finding:  # noqa: FBT001
    values: dict[str, Any] = {"what": What(what), "site": site, "kind": Kind.ROUNDED, "reported_missing": False}
    return finding(site, **values, at_stage_0=at_stage_0)


def in_bf16(check: str, loader: Loader, *wrong: tuple[str, str, bool], verdict: Verdict = Verdict.NARROWED) -> Case:
    findings = tuple(rounded(*one) for one in wrong)
    fate = verdict if wrong else Verdict.PASS
    return case("m:M", fate, loader=loader, check=Check(check), precision=Precision.BF16, findings=findings)


def measured(deepspeed: str, load: list[Any], save: list[Any], fixed: list[Any], transformers: str = "5.24.0") -> Cell:
    """A cell in bf16 with these tensors rounded: by the stock loader, and by the fixed one in both checks."""
    stock = [in_bf16("load", Loader.STOCK, *load), in_bf16("save", Loader.STOCK, *save)]
    others = [in_bf16(check, Loader.FIXED, *fixed) for check in ("load", "save")]
    return cell(*stock, *others, environment=info(transformers, deepspeed=deepspeed))


def told(one: Cell) -> Diagnosis:
    return replace(diagnose(one, Resolved("m:M", 7, (), 7, ())), causes=find_causes(one, load_known()))


@pytest.mark.parametrize(
    ("deepspeed", "check", "wrong", "names"),
    [
        ("0.19.8", "load", WEIGHT, ["parameters-in-one-dtype"]),
        ("0.16.9", "save", WEIGHT, ["parameters-in-one-dtype"]),
        ("0.19.8", "load", ("parameter", "Ernie4_5_MoeTopKRouter.weight", False), []),
        ("0.18.9", "load", ROUTER, ["listed-buffers-made-by-zero-init"]),
        ("0.19.8", "load", ROUTER, []),
        ("0.19.8", "load", LFM, ["unlisted-buffers-made-by-zero-init"]),
        ("0.18.9", "load", CODEBOOK, ["unlisted-buffers-made-by-zero-init"]),
        ("0.18.9", "save", ROUTER, ["buffers-cast-by-initialize"]),
        ("0.18.9", "save", ROTARY, ["buffers-cast-by-initialize"]),
        ("0.19.8", "save", ROTARY, []),
    ],
)
def test_what_was_measured_to_be_rounded_has_its_cause_where_that_is_known(
    deepspeed: str, check: str, wrong: tuple[str, str, bool], names: list[str]
) -> None:
    causes = find_causes(cell(in_bf16(check, Loader.STOCK, wrong), environment=info(deepspeed=deepspeed)), load_known())
    assert ([cause.known.id for cause in causes.known], causes.unexplained) == (names, not names)


def test_parameters_that_stay_rounded_have_their_cause_and_their_link_and_no_false_advice() -> None:
    lines = list(suggest_fixes(told(measured("0.19.8", [WEIGHT], [WEIGHT], [WEIGHT], "5.5.4"))))
    assert lines == [
        (
            f"- known upstream (https://github.com/deepspeedai/DeepSpeed/issues/7747, {PINNED}): parameters that a plain load "
            "has in float32 are rounded: DeepSpeed has one dtype for all partitions (Ernie4_5_MoeTopKRouter.weight); "
            "open; DeepSpeed does this without ZeRO-3 too: a plain load and deepspeed.initialize at stage 0 do the same; "
            "with the fixed loader it is not right"
        )
    ]


def test_what_the_fixed_loader_keeps_of_it_is_told() -> None:
    both = [WEIGHT, STATICS]
    lines = list(suggest_fixes(told(measured("0.19.8", both, both, [WEIGHT]))))
    assert "; DeepSpeed does this without ZeRO-3 too: a plain load" in lines[0]
    assert lines[0].endswith("at stage 0 do the same; with the fixed loader 1 of 2 are right")
    assert (
        lines[1]
        == "- the fixed loader keeps 1 tensor of these right, not the others: copy this file next to your script,"
    )
    assert lines[-1] == "    zero3_buffers.install()"


def test_buffers_that_zero_init_rounds_are_right_with_the_fixed_loader() -> None:
    lines = list(suggest_fixes(told(measured("0.19.8", [LFM], [], [], "5.5.4"))))
    assert (
        "; DeepSpeed does this under ZeRO-3 only: a plain load and deepspeed.initialize at stage 0 do not; " in lines[0]
    )
    assert lines[0].endswith("with the fixed loader it is right")
    assert not [line for line in lines if "upgrade" in line or "report it" in line]
    assert lines[1].startswith("- or keep these versions and use the fixed loader, which helps here")


def test_what_nobody_knows_yet_is_to_be_reported() -> None:
    unknown = ("buffer", "Norm.scale", False)
    assert "report it upstream" in list(suggest_fixes(told(measured("0.19.8", [unknown], [], [unknown]))))[-1]


def test_a_wrong_report_is_to_be_reported_though_no_value_is_wrong() -> None:
    lost = ReportDifference(ReportPart.MISSING, ("layers.0.bias",), (), (1, 0), (1,))
    loads = [case("m:M", Verdict.MISREPORTED, loader=loader, report=(lost,)) for loader in Loader]
    saves = [case("m:M", loader=loader, check=Check("save")) for loader in Loader]
    found = told(cell(*loads, *saves, environment=info("5.24.0", deepspeed="0.19.8")))
    assert found.causes.unexplained
    assert "report it upstream" in list(suggest_fixes(found))[-1]

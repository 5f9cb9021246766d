"""What training in bf16 or fp16 does to a model that is right in float32: real releases, two ranks, a CPU."""

from pathlib import Path

import pytest

from matrix.catalog.catalog import load_catalog
from matrix.catalog.select import select
from matrix.checks import Axes
from matrix.measure.cell import measure
from matrix.measure.request import Request
from matrix.measure.tasks import plan_tasks
from matrix.model import Case, CaseKey, Check, Configuration, Finding, Kind, Loader, Precision
from matrix.progress import TerminalProgress
from matrix.verdicts import Verdict

pytestmark = pytest.mark.measured

ROUTER = "deepseek_v3:DeepseekV3ForCausalLM"
UNLISTED = "lfm2_moe:Lfm2MoeForCausalLM"
COUNTED = "granite_speech5_encoder:GraniteSpeech5Encoder"
PLAINLY_WRONG = "zaya:ZayaForCausalLM"
BIASED = "bert:BertForMaskedLM"
ROPE = "llama:LlamaForCausalLM"

Cases = dict[CaseKey, Case]
ODD = (Configuration.PLAIN, Configuration.MIXED_DTYPES)


def measured(interpreter: Path, out: Path, names: tuple[str, ...], axes: Axes) -> Cases:
    tasks = plan_tasks(select(load_catalog(), names), axes)
    request = Request(out, tasks, interpreter=interpreter, device="cpu", confirmations=1)
    return {case.key: case for case in measure(request, TerminalProgress()).cases}


@pytest.fixture(scope="module")
def new(newest: Path, tmp_path_factory: pytest.TempPathFactory) -> Cases:
    names = (ROUTER, UNLISTED, COUNTED, PLAINLY_WRONG, BIASED)
    return measured(newest, tmp_path_factory.mktemp("new"), names, Axes((Loader.STOCK,), precisions=tuple(Precision)))


@pytest.fixture(scope="module")
def old(older_deepspeed: Path, tmp_path_factory: pytest.TempPathFactory) -> Cases:
    axes = Axes((Loader.STOCK,), precisions=(Precision.BF16,), configurations=ODD)
    return measured(older_deepspeed, tmp_path_factory.mktemp("old"), (ROUTER, ROPE), axes)


def stock(name: str, check: str, precision: Precision = Precision.BF16) -> CaseKey:
    return CaseKey(name, Loader.STOCK, Check(check), precision)


def rounded(case: Case) -> dict[str, Finding]:
    assert case.verdict is Verdict.NARROWED
    assert {finding.kind for finding in case.findings} == {Kind.ROUNDED}
    return {finding.tensor.rpartition("layers.")[2].partition(".")[2]: finding for finding in case.findings}


def test_a_trainable_parameter_of_a_float32_list_is_rounded_by_deepspeed_at_any_stage(new: Cases) -> None:
    (found,) = rounded(new[stock(ROUTER, "load")]).values()
    assert found.tensor.endswith("mlp.gate.weight")
    assert (found.ranks, found.at_stage_0, found.detail) == ((0, 1), True, "float32 became bfloat16")


def test_a_buffer_that_no_list_names_is_rounded_by_zero3_alone(new: Cases) -> None:
    found = rounded(new[stock(UNLISTED, "load")])
    assert {(name, one.at_stage_0) for name, one in found.items()} == {("feed_forward.expert_bias", False)}


def test_an_older_deepspeed_rounds_the_routing_bias_on_every_rank(old: Cases) -> None:
    found = rounded(old[stock(ROUTER, "load")])["mlp.gate.e_score_correction_bias"]
    assert (found.ranks, found.at_stage_0, found.reported_missing) == ((0, 1), True, False)


def test_an_older_deepspeed_rounds_what_is_computed_when_it_is_initialized(old: Cases) -> None:
    assert old[stock(ROPE, "load")].verdict is Verdict.PASS
    by_name = {found.tensor: found for found in old[stock(ROPE, "save")].findings}
    found = by_name["model.rotary_emb.inv_freq"]
    assert found.detail == "float32 became bfloat16, seen after deepspeed.initialize"
    assert 0.10009765625 in found.actual
    assert pytest.approx(0.1, abs=1e-8) in found.expected


def test_a_load_in_float32_is_rounded_whole_where_deepspeed_trains_in_bf16(old: Cases) -> None:
    case = old[CaseKey(ROPE, Loader.STOCK, Check("load"), Precision.BF16, Configuration.MIXED_DTYPES)]
    assert len({finding.tensor for finding in case.findings if finding.what == "parameter"}) == case.tensors.parameters
    assert (case.trained_dtype, case.requested_dtype) == ("bfloat16", "float32")


def test_float32_is_right_all_the_same(new: Cases) -> None:
    for name in (ROUTER, UNLISTED, COUNTED):
        assert new[stock(name, "load", Precision.FLOAT32)].verdict is Verdict.PASS


def test_an_equal_value_in_another_dtype_is_a_note(new: Cases) -> None:
    case = new[stock(COUNTED, "load")]
    notes = {note.text for note in case.notes if note.about.endswith("num_batches_tracked")}
    assert notes == {"float32 became int64, with equal values"}
    assert not [finding for finding in case.findings if finding.tensor.endswith("num_batches_tracked")]


def test_what_a_plain_load_gets_wrong_too_can_be_rounded_besides(new: Cases) -> None:
    assert new[stock(PLAINLY_WRONG, "load", Precision.FLOAT32)].verdict is Verdict.BASELINE_BROKEN
    assert rounded(new[stock(PLAINLY_WRONG, "load")]).keys() == {"mlp.gate.balancing_biases"}


def test_a_precision_that_deepspeed_refuses_is_unsupported_and_says_why(new: Cases) -> None:
    case = new[stock(UNLISTED, "save", Precision.FP16)]
    assert (case.verdict, case.error and case.error.message) == (
        Verdict.UNSUPPORTED,
        "deepspeed does not train in fp16 on cpu",
    )
    assert new[stock(UNLISTED, "load", Precision.FP16)].verdict is Verdict.NARROWED


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        (COUNTED, "writes 68 of 74 tensors empty"),
        (BIASED, "writes 30 of 42 tensors empty, 12 of 42 tensors not at all"),
    ],
)
def test_saving_without_the_gathered_state_is_noted(new: Cases, name: str, lost: str) -> None:
    (note,) = new[stock(name, "save", Precision.FLOAT32)].notes
    assert (note.about, note.text) == ("model.save_pretrained(folder)", f"{lost}, without an error")

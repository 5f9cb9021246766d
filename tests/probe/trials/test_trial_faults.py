"""Each check that makes models of its own can fail: what it looks at is broken on purpose, and told for what it is."""

import json
import subprocess
from typing import Any

import pytest

from matrix.process.run import ROOT

pytestmark = pytest.mark.measured


@pytest.fixture(scope="module")
def told(newest: Any) -> dict[str, Any]:
    script = ROOT / "tests" / "support" / "measured" / "trial_faults.py"
    done = subprocess.run([newest, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def red(cases: dict[str, Any]) -> dict[str, str]:
    return {check: case["verdict"] for check, case in cases.items() if case["verdict"] not in ("pass", "unsupported")}


def test_nothing_is_red_where_nothing_is_broken(told: dict[str, Any]) -> None:
    assert not red(told[""])
    assert not [check for check, case in told[""].items() if case["verdict"] == "unsupported"]


def test_names_of_an_older_release_are_compared_where_one_process_takes_them_all(told: dict[str, Any]) -> None:
    notes = {note["about"]: note["text"] for note in told[""]["layouts"]["notes"]}
    reason = "not compared: one process leaves 5 tensors missing, such as model.layers.0.input_layernorm.weight"
    assert notes == {"with the names that transformers 4.1.0 saved": reason}


def test_names_of_an_older_release_are_loaded_in_the_sizes_that_go_with_them(told: dict[str, Any]) -> None:
    ways = {finding["tensor"].partition(": ")[0] for finding in told["lost_prefix"]["layouts"]["findings"]}
    assert ways == {"with the names that transformers 4.2.0 saved, in the sizes of the catalog"}


def test_a_list_of_names_that_cannot_be_read_is_not_run(told: dict[str, Any]) -> None:
    case = told["unreadable"]["layouts"]
    assert case["verdict"] == "unsupported"
    assert case["error"]["message"].startswith(
        "the list of the names that older releases save: saved_names.json cannot"
    )


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("lost_prefix", {"layouts": "reported", "submodel": "reported"}),
        ("files_left_out", {"shards": "reported"}),
        ("head_unwritten", {"head": "corrupt"}),
        ("head_too_large", {"head": "corrupt"}),
        ("zeros", {"init": "corrupt"}),
        ("rows_lost", {"resize": "corrupt"}),
        ("untied", {"resize": "corrupt"}),
        ("summed", {"forward": "corrupt"}),
        ("computed", {"forward": "corrupt"}),
        ("nonfinite", {"forward": "corrupt"}),
    ],
)
def test_what_is_broken_is_seen_by_its_check_alone(told: dict[str, Any], way: str, expected: dict[str, str]) -> None:
    assert red(told[way]) == expected


@pytest.mark.parametrize(
    ("way", "check", "tensor", "kind"),
    [
        ("head_unwritten", "head", "a new head, LlamaForSequenceClassification: score.weight", "nonfinite"),
        ("head_too_large", "head", "a new head, LlamaForSequenceClassification: score.weight", "unlike"),
        ("zeros", "init", "model.layers.0.mlp.up_proj.weight", "zeros"),
        ("rows_lost", "resize", "not tied: model.embed_tokens.weight", "partial"),
        ("untied", "resize", "tied: model.embed_tokens.weight", "untied"),
        ("summed", "forward", "model.layers.0.mlp.up_proj.weight", "garbage"),
        ("computed", "forward", "output.logits", "garbage"),
        ("nonfinite", "forward", "output.logits", "nonfinite"),
    ],
)
def test_the_tensor_and_how_it_is_wrong_are_named(
    told: dict[str, Any], way: str, check: str, tensor: str, kind: str
) -> None:
    found = {finding["tensor"]: finding["kind"] for finding in told[way][check]["findings"]}
    assert found[tensor] == kind


def test_a_file_that_is_left_out_is_missed_in_either_format(told: dict[str, Any]) -> None:
    lost = [finding["tensor"].split(": ") for finding in told["files_left_out"]["shards"]["findings"]]
    ways = {way: {name for one, name in lost if one == way} for way, _ in lost}
    assert ways["safetensors"] == ways["torch's own format"]


def test_a_step_that_is_wrong_leaves_the_outputs_before_it_right(told: dict[str, Any]) -> None:
    whats = {finding["what"] for finding in told["summed"]["forward"]["findings"]}
    assert whats == {"parameter"}
    assert [note["about"] for note in told[""]["forward"]["notes"]] == ["the batch"]


def test_statistics_that_move_on_one_rank_only_name_the_other(told: dict[str, Any]) -> None:
    assert told["norms"]["forward"]["verdict"] == "pass"
    (found,) = told["statistics"]["forward"]["findings"]
    assert (found["what"], found["site"], found["kind"], found["ranks"]) == (
        "buffer",
        "BatchNorm2d.running_mean",
        "zeros",
        [1],
    )


@pytest.mark.parametrize(("way", "reason"), [("unfed", "it needs condition_vector"), ("bf16", "in float32 only")])
def test_what_cannot_be_trained_here_says_why(told: dict[str, Any], way: str, reason: str) -> None:
    case = told[way]["forward"]
    assert (case["verdict"], case["error"]["type"]) == ("unsupported", "NotApplicableError")
    assert reason in case["error"]["message"]

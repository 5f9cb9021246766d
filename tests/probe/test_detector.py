"""The detector can fail: loading is broken on purpose (tests/support/measured/faults.py) and each way is seen for what it is."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.measured


@pytest.fixture(scope="module")
def told(newest: Path) -> dict[str, Any]:
    script = Path(__file__).parents[1] / "support" / "measured" / "faults.py"
    done = subprocess.run([newest, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def findings(case: dict[str, Any]) -> list[tuple[str, str, list[int]]]:
    return [(finding["site"], finding["kind"], finding["ranks"]) for finding in case["findings"]]


@pytest.mark.parametrize(
    ("way", "site", "kind", "ranks"),
    [
        ("skip", "BatchNorm2d.running_mean", "init_value", [0, 1]),
        ("rank_0_only", "BatchNorm2d.running_mean", "init_value", [1]),
        ("zero", "BatchNorm2d.running_var", "zeros", [0, 1]),
        ("cast", "BatchNorm2d.running_var", "rounded", [0, 1]),
        ("nonfinite", "BatchNorm2d.running_var", "nonfinite", [0, 1]),
        ("partial", "BatchNorm2d.running_var", "partial", [0, 1]),
        ("garbage", "BatchNorm2d.running_var", "garbage", [0, 1]),
        ("unwritten", "BatchNorm2d.running_var", "nonfinite", [0, 1]),
        ("absent", "BatchNorm2d.running_var", "absent", [0, 1]),
        ("meta", "BatchNorm2d.running_var", "meta", [0, 1]),
        ("shape", "BatchNorm2d.running_var", "shape", [0, 1]),
        ("shard", "BatchNorm2d.weight", "partial", [0, 1]),
    ],
)
def test_silently_wrong_tensor(told: dict[str, Any], way: str, site: str, kind: str, ranks: list[int]) -> None:
    case = told[way]["broken"]
    verdict = "narrowed" if kind == "rounded" else "corrupt"
    assert (case["verdict"], findings(case)) == (verdict, [(site, kind, ranks)])


@pytest.mark.parametrize(
    ("way", "what", "site"),
    [
        ("buffers_through_bf16", "buffer", "BatchNorm2d.running_mean"),
        ("parameters_through_bf16", "parameter", "BatchNorm2d.weight"),
    ],
)
def test_what_the_loader_sends_through_bf16_and_back(told: dict[str, Any], way: str, what: str, site: str) -> None:
    assert told[way]["broken"]["verdict"] == "narrowed"
    found = told[way]["broken"]["findings"]
    assert site in {finding["site"] for finding in found}
    assert {(finding["what"], finding["kind"], *finding["ranks"]) for finding in found} == {(what, "rounded", 0, 1)}
    assert {finding["detail"] for finding in found} == {"went through bfloat16"}
    assert all(finding["elements"][0] == finding["elements"][1] for finding in found), "every element shows it"


def test_swap_names_the_tensor_whose_value_is_held(told: dict[str, Any]) -> None:
    first, second = told["swap"]["broken"]["findings"]
    assert (first["kind"], second["kind"]) == ("other_tensor", "other_tensor")
    assert first["detail"] == f"holds the value of {second['tensor']}"
    assert second["detail"] == f"holds the value of {first['tensor']}"


def test_what_the_loader_reports_is_not_silent(told: dict[str, Any]) -> None:
    case = told["skip_and_say_so"]["broken"]
    assert (case["verdict"], [finding["reported_missing"] for finding in case["findings"]]) == ("reported", [True])


@pytest.mark.parametrize(
    ("way", "named", "ranks"),
    [("buffers_missing", ".running_mean", [0, 1]), ("parameters_missing", ".weight", [1])],
)
def test_right_values_that_are_reported_missing(told: dict[str, Any], way: str, named: str, ranks: list[int]) -> None:
    case = told[way]["broken"]
    (difference,) = case["report"]
    assert (case["verdict"], case["findings"], difference["part"]) == ("misreported", [], "missing_keys")
    assert (difference["ranks"], difference["left_out"]) == (ranks, [])
    assert named in str(difference["added"])


def test_what_is_lost_on_save_is_seen_after_a_plain_load(told: dict[str, Any]) -> None:
    case = told["lose_on_save"]["broken"]
    assert (case["check"], case["verdict"]) == ("save", "reported")
    assert [(finding["kind"], finding["ranks"]) for finding in case["findings"]] == [("init_value", [0])]


def test_exception_on_both_ranks(told: dict[str, Any]) -> None:
    case = told["raise_on_both"]["broken"]
    assert case["verdict"] == "crash"
    assert case["error"]["message"] == "sabotage"
    assert case["error"]["ranks"] == [0, 1]


def test_exception_on_one_rank_says_which(told: dict[str, Any]) -> None:
    case = told["raise_on_1"]["broken"]
    assert (case["verdict"], case["error"]["ranks"]) == ("crash", [1])


def test_hang_is_ended_by_the_watchdog_and_says_where(told: dict[str, Any]) -> None:
    case = told["hang_on_1"]["broken"]
    assert case["verdict"] == "hang"
    assert case["error"]["frame"].endswith("in all_gather")  # where rank 0 waits for rank 1


def test_killed_rank(told: dict[str, Any]) -> None:
    case = told["die_on_1"]["broken"]
    assert (case["verdict"], case["error"]["ranks"]) == ("crash", [1])
    assert "SIGKILL" in case["error"]["message"]


def test_right_values_that_are_not_sharded_prove_nothing(told: dict[str, Any]) -> None:
    assert told["do_not_partition"]["broken"]["verdict"] == "not_partitioned"


def test_reruns_that_disagree(told: dict[str, Any]) -> None:
    case = told["first_time_only"]["broken"]
    assert (case["verdict"], case["confirmed"]) == ("flaky", [1, 2])


@pytest.mark.parametrize(("way", "runs"), [("zero", 3), ("raise_on_both", 2)])
def test_wrong_values_are_rerun_as_often_as_asked_and_a_crash_once(told: dict[str, Any], way: str, runs: int) -> None:
    assert told[way]["broken"]["confirmed"] == [runs, runs]


def test_the_next_case_is_measured_whatever_happened(told: dict[str, Any]) -> None:
    assert {way: case["untouched"]["verdict"] for way, case in told.items()} == dict.fromkeys(told, "pass")

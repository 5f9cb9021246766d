"""What the loader says under ZeRO-3 is held against a plain load's, as far as a release tells the truth at all."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from matrix.check_protocol import LoadingReport
from matrix.model import SHOWN_NAMES, ReportDifference, ReportPart
from matrix.probe.checks.reports import compare_reports, find_reported

NOTHING = LoadingReport()


def test_what_only_one_of_the_two_names_is_a_difference_on_its_ranks() -> None:
    plain = LoadingReport(missing_keys=("a", "b"), unexpected_keys=("old",))
    wrong = LoadingReport(missing_keys=("b", "c"), unexpected_keys=("old",))
    assert compare_reports(plain, [plain, wrong], set()) == (
        ReportDifference(ReportPart.MISSING, added=("c",), left_out=("a",), counts=(1, 1), ranks=(1,)),
    )


def test_a_wrong_tensor_may_be_named_as_missing() -> None:
    assert compare_reports(NOTHING, [LoadingReport(missing_keys=("a",))] * 2, {"a"}) == ()


def test_an_error_counts_wherever_it_is_told() -> None:
    told = LoadingReport(error_msgs=("no",))
    assert compare_reports(told, [told, NOTHING], set()) == ()
    (difference,) = compare_reports(NOTHING, [told, NOTHING], set())
    assert (difference.part, difference.ranks) == ("error_msgs", (0, 1))


def test_a_report_that_is_not_known_is_not_compared() -> None:
    told = LoadingReport(missing_keys=("a",))
    assert compare_reports(None, [told, told], set()) == compare_reports(NOTHING, [told, None], set()) == ()


def test_a_record_stays_small() -> None:
    told = LoadingReport(missing_keys=tuple(f"layers.{number:03}" for number in range(500)))
    (difference,) = compare_reports(NOTHING, [told, told], set())
    assert (len(difference.added), difference.counts) == (SHOWN_NAMES, (500, 0))


def test_reported_is_what_every_rank_names_beyond_a_plain_load() -> None:
    first, second = LoadingReport(missing_keys=("a", "b", "c")), LoadingReport(missing_keys=("b", "c", "d"))
    assert find_reported(LoadingReport(missing_keys=("b",)), [first, second]) == {"c"}
    assert find_reported(None, [first, None]) == set()


EMPTY = {"unexpected_keys": "always_empty", "mismatched_keys": "always_empty", "error_msgs": "on_rank_0_only"}
PLACEHOLDERS = {"mismatched_keys": "of_placeholders", "error_msgs": "on_rank_0_only"}


def ask(python: Path) -> dict[str, Any]:
    script = Path(__file__).parents[1] / "support/measured/loading_reports.py"
    done = subprocess.run([python, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.measured
@pytest.mark.parametrize(
    ("environment", "limits"), [("newest", EMPTY), ("last_broken", EMPTY), ("last_4x", PLACEHOLDERS)]
)
def test_what_a_release_never_tells_is_what_its_sources_say(
    environment: str, limits: dict[str, str], request: pytest.FixtureRequest
) -> None:
    told = ask(request.getfixturevalue(environment))
    plain, (first, second) = told["plain"], told["ranks"]
    assert told["limits"] == limits
    assert plain["unexpected"]["unexpected_keys"] == ["extra.weight"]
    unexpected = [] if limits is EMPTY else ["extra.weight"]
    assert [rank["unexpected"]["unexpected_keys"] for rank in (first, second)] == [unexpected] * 2
    assert "size mismatch" in first["mismatched"]["raised"]
    assert "raised" not in second["mismatched"]
    mismatched = plain["ignored"]["mismatched_keys"]
    if limits is EMPTY:
        assert ("size mismatch" in first["ignored"]["raised"], second["ignored"]["mismatched_keys"]) == (True, [])
    else:
        assert len(first["ignored"]["mismatched_keys"]) > len(mismatched) == 1
    assert plain["saved"]["missing_keys"] == []
    # 5.5.4 names every buffer, too.
    assert set(plain["missing"]["missing_keys"]) <= set(first["missing"]["missing_keys"])
    heard = [rank[name]["heard"] for name in ("saved", "missing", "unexpected") for rank in (first, second)]
    assert heard[::2] == heard[1::2]
    assert not [report for report in heard if any(report[part] for part in limits)]

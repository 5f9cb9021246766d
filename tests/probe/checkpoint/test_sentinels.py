"""Sentinels show every rounding, and rounded to anything they still differ from each other."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.measured

VALUES = Path(__file__).parents[2] / "support" / "measured" / "sentinel_values.py"


@pytest.fixture(scope="module")
def told(newest: Path) -> dict[str, Any]:
    done = subprocess.run([newest, VALUES], stdout=subprocess.PIPE, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_way_through_fewer_bits_changes_every_element(told: dict[str, Any]) -> None:
    assert len(told["unchanged"]) == 6
    assert not any(told["unchanged"].values())


def test_rounded_sentinels_of_two_tensors_differ(told: dict[str, Any]) -> None:
    assert len(told["alike"]) == 18
    assert not any(told["alike"].values())


def test_both_parts_of_a_complex_number_show_it(told: dict[str, Any]) -> None:
    assert told["complex"] == 0


def test_none_is_zero_or_one_or_infinite(told: dict[str, Any]) -> None:
    assert told["special"] == 0


def test_tensors_of_too_few_values_are_named(told: dict[str, Any]) -> None:
    named = told["named"]
    assert {"a.flag", "b.flag"} <= set(named), "both became true"
    assert "lone" not in named, "no other has its shape"
    assert {name.partition(".")[0] for name in named} == {"a", "b", "int8", "float8"}

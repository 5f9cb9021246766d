"""What is said of a tensor: right, rounded, worth a note, or wrong. Judged with real tensors, all in one process."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from matrix.process.run import ROOT

pytestmark = pytest.mark.measured

JUDGEMENTS = Path(__file__).parents[2] / "support" / "measured" / "judgements.py"
UP = "t.tensor(9.0)"
"""Where the next value after a smaller one lies."""

RIGHT = [
    *((name, name) for name in ("weight", "half", "brain", "eighth", "phase", "count", "flag")),
    *((name, name) for name in ("inverse", "eight", "far", "tiny", "mask", "rotation")),
    ("inverse", f"t.nextafter(inverse, {UP})"),
    ("rotation", f"t.complex(t.nextafter(rotation.real, {UP}), rotation.imag)"),
]
NOTED = [
    ("weight", "weight.double()", "float32 became float64"),
    ("brain", "brain.float()", "bfloat16 became float32"),
    ("eighth", "eighth.float()", "float8_e4m3fn became float32"),
    ("eight", "eight.long()", "float32 became int64"),
    ("flag", "flag.long()", "bool became int64"),
]
UNROUNDED = [
    ("brain", f"t.nextafter(brain.float(), {UP})", "bfloat16 became float32"),
    ("half", f"t.nextafter(half.float(), {UP})", "float16 became float32"),
]
ROUNDED = [
    ("weight", "weight.bfloat16()", "float32 became bfloat16", 12),
    ("weight", "weight.half()", "float32 became float16", 12),
    ("weight", "weight.bfloat16().float()", "went through bfloat16", 12),
    ("weight", "weight.half().float()", "went through float16", 12),
    ("weight", "weight.bfloat16().half()", "float32 became float16, went through bfloat16", 12),
    ("weight", "weight.bfloat16().double()", "float32 became float64, went through bfloat16", 12),
    ("half", "half.bfloat16()", "float16 became bfloat16", 12),
    ("half", "half.bfloat16().half()", "went through bfloat16", 12),
    ("phase", "t.complex(phase.real.bfloat16().float(), phase.imag.bfloat16().float())", "went through bfloat16", 4),
    ("inverse", "inverse.bfloat16()", "float32 became bfloat16", 3),
    ("inverse", "inverse.bfloat16().float()", "went through bfloat16", 3),
    ("inverse", f"t.nextafter(inverse, {UP}).half().float()", "went through float16", 3),
    ("far", "t.tensor([200.0, 1004.0])", "went through bfloat16", 1),
    # Held in fewer bits than they have, though none of these values needs more.
    ("eight", "eight.bfloat16()", "float32 became bfloat16", 0),
    ("brain", "brain.half()", "bfloat16 became float16", 0),
    ("count", "count.int()", "int64 became int32", 0),
    ("count", "count.float()", "int64 became float32", 0),
    # What a plain load gets wrong too is compared with what that gives.
    ("other", "plain.bfloat16()", "float32 became bfloat16", 8),
]
WRONG = [
    ("other", "plain", ["partial"]),
    ("weight", "other", ["other_tensor"]),
    ("weight", "other.bfloat16()", ["dtype", "other_tensor"]),
    ("weight", "other.bfloat16().float()", ["garbage"]),
    ("weight", "weight.roll(1)", ["garbage"]),
    ("weight", "weight.bfloat16().roll(1)", ["dtype", "garbage"]),
    ("weight", "t.nextafter(weight, t.tensor(0.0))", ["garbage"]),
    ("weight", "t.where(weight > 4.1, weight, 0.0)", ["partial"]),
    ("weight", "t.ones(3, 4)", ["init_value"]),
    ("weight", "t.ones(3, 4).bfloat16()", ["dtype", "init_value"]),
    ("weight", "t.full((3, 4), 1.001)", ["init_value"]),
    ("weight", "t.zeros(3, 4).half()", ["dtype", "zeros"]),
    ("weight", "t.full((3, 4), float('nan'))", ["nonfinite"]),
    ("weight", "weight.int()", ["dtype", "garbage"]),
    ("weight", "weight.to(t.float8_e4m3fn)", ["dtype", "garbage"]),
    ("eighth", "t.ones(4).to(t.float8_e4m3fn)", ["init_value"]),
    ("count", "t.tensor(count.item() + 0.5)", ["dtype", "garbage"]),
    ("flag", "~flag", ["init_value"]),
    ("inverse", "inverse * 1.000001", ["garbage"]),
    ("inverse", "t.nextafter(inverse.bfloat16(), t.tensor(9.0).bfloat16()).float()", ["garbage"]),
    ("far", "t.tensor([201.0, 1000.0])", ["garbage"]),
    ("tiny", "t.zeros(2)", ["zeros"]),
    ("tiny", "tiny.half().float()", ["zeros"]),
    ("mask", "t.tensor([0.0, float('-inf'), 1.0])", ["nonfinite"]),
]
ALL = [
    *RIGHT,
    *(case[:2] for case in [*NOTED, *UNROUNDED]),
    *(case[:2] for case in ROUNDED),
    *(case[:2] for case in WRONG),
]


@pytest.fixture(scope="module")
def said(newest: Path) -> dict[tuple[str, str], dict[str, Any]]:
    done = subprocess.run([newest, JUDGEMENTS], input=json.dumps(ALL), stdout=subprocess.PIPE, check=True, text=True)
    return dict(zip(ALL, json.loads(done.stdout), strict=True))


Said = dict[tuple[str, str], dict[str, Any]]


@pytest.mark.parametrize(("name", "held"), RIGHT)
def test_right(said: Said, name: str, held: str) -> None:
    assert said[name, held] == {"flaws": [], "note": ""}


@pytest.mark.parametrize(("name", "held", "dtypes"), NOTED)
def test_equal_value_in_another_dtype_is_worth_a_note(said: Said, name: str, held: str, dtypes: str) -> None:
    assert said[name, held] == {"flaws": [], "note": f"{dtypes}, with equal values"}


@pytest.mark.parametrize(("name", "held", "dtypes"), UNROUNDED)
def test_more_bits_of_the_right_value_are_worth_a_note(said: Said, name: str, held: str, dtypes: str) -> None:
    assert said[name, held] == {"flaws": [], "note": f"{dtypes}, with values that are not rounded"}


@pytest.mark.parametrize(("name", "held", "detail", "elements"), ROUNDED)
def test_right_value_in_a_narrower_dtype_is_one_flaw(
    said: Said, name: str, held: str, detail: str, elements: int
) -> None:
    (flaw,) = said[name, held]["flaws"]
    assert (flaw["kind"], flaw["detail"], flaw["elements"][0]) == ("rounded", detail, elements)
    assert len(flaw["expected"]) == len(flaw["actual"]) == min(elements, 4)


@pytest.mark.parametrize(("name", "held", "kinds"), WRONG)
def test_wrong_value_is_told_apart_from_a_rounded_one(said: Said, name: str, held: str, kinds: list[str]) -> None:
    assert [flaw["kind"] for flaw in said[name, held]["flaws"]] == kinds
    assert not said[name, held]["note"]


UNITS = """
import torch
from matrix.probe.checkpoint.floats import equal
right = torch.tensor([0.1, 1.0, 1e-30, -3.0, 0.0])
held = right
for _ in range(18):
    held = torch.nextafter(held, torch.tensor(9.0))
print([bool(equal(held, right, units).all()) for units in (0, 1, 17, 18, 32)])
"""


def test_as_many_units_in_the_last_place_are_forgiven_as_asked(newest: Path) -> None:
    """As many as the powers of a GPU and of a CPU differ by."""
    done = subprocess.run([newest, "-c", UNITS], stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT)
    assert json.loads(done.stdout.lower()) == [False, False, False, True, True]


NEAR = """
import torch
from matrix.probe.checkpoint.judge import Reference, judge
right = torch.tensor([0.1, 0.3])
near = torch.nextafter(right, torch.tensor(9.0))
for computed in (False, True):
    reference = Reference({"inv_freq": right}, {}, {}, frozenset(), computed=computed)
    print([len(judge("inv_freq", held, reference).flaws) for held in (near, torch.nextafter(near, torch.tensor(9.0)))])
"""


def test_a_unit_is_forgiven_in_the_checkpoint_only_where_nothing_was_loaded(newest: Path) -> None:
    done = subprocess.run([newest, "-c", NEAR], stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [[1, 1], [0, 1]]


def test_what_is_rounded_is_quoted(said: Said) -> None:
    (flaw,) = said["inverse", "inverse.bfloat16().float()"]["flaws"]
    assert (flaw["expected"][0], flaw["actual"][0]) == (pytest.approx(0.1, abs=1e-8), 0.10009765625)

"""What counts as random, and when random values are wrong; in a measured interpreter, since the host has no torch."""

import json
import subprocess
from pathlib import Path

import pytest

from matrix.process.run import ROOT

pytestmark = pytest.mark.measured

SCRIPT = """
import json, sys, torch
from matrix.probe.trials.spread import find_masks, judge_random, measure_random
torch.manual_seed(0)
normal = torch.randn(40, 8)
rows = torch.cat([torch.ones(30, 8), torch.randn(10, 8)])
other = torch.cat([torch.ones(30, 8), torch.randn(10, 8)])
few = torch.randn(200).bfloat16()
one, two = (
    {"all": normal, "rows": rows, "few": few, "fixed": rows, "scalar": torch.tensor(1.0), "empty": torch.zeros(0, 3)},
    {"all": torch.randn(40, 8), "rows": other, "few": torch.randn(200).bfloat16(), "fixed": rows,
     "scalar": torch.tensor(2.0), "empty": torch.zeros(0, 3)},
)
found = measure_random(find_masks(one, two), one, two)
def kind(values):
    flaw = judge_random(values, found["all"])
    return flaw and flaw.kind
half = normal.clone()
half[20:] = 0
unwritten = normal.clone()
unwritten[3, 3] = float("nan")
print(json.dumps({
    "random": {name: int(one.where.sum()) for name, one in found.items()},
    "kinds": [kind(normal), kind(2 * normal), kind(4 * normal), kind(normal / 4), kind(0 * normal), kind(unwritten), kind(half)],
}))
"""


def test_random_values_are_known_and_judged_by_their_spread(newest: Path) -> None:
    done = subprocess.run([newest, "-c", SCRIPT], capture_output=True, check=True, text=True, cwd=ROOT)
    told = json.loads(done.stdout)
    # Rows that are kept are exact; bf16 values that two seeds share by chance are not.
    assert told["random"] == {"all": 320, "rows": 80, "few": 200, "scalar": 1}
    assert told["kinds"] == [None, None, "unlike", "unlike", "zeros", "nonfinite", "unlike"]

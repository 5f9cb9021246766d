"""The fixed loader is measured where the stock one gives wrong values, by a stand-in for the probe."""

from dataclasses import replace
from pathlib import Path

from matrix.checks import Axes
from matrix.measure.sparing import measure_sparingly
from matrix.measure.tasks import plan_tasks
from matrix.model import Architecture, Check, Loader, Precision
from matrix.results.read import read_cell
from tests.support.stand_in_probe import SilentProgress, StandIn, load_request

BODY = """
environment()
for key in keys:
    case(key, "corrupt" if key[0] == "bert:Model" and key[1] == "stock" else "pass")
end()
"""


def test_the_fixed_loader_is_measured_in_float32_and_where_the_stock_one_is_wrong(tmp_path: Path) -> None:
    stand_in = StandIn(tmp_path, BODY)
    architectures = [Architecture(f"{name}:Model", "other") for name in ("bart", "bert")]
    tasks = plan_tasks(architectures, Axes(checks=(Check("load"),)))
    cell = measure_sparingly(replace(load_request(tmp_path, stand_in), tasks=tasks), SilentProgress())
    fixed = {(case.architecture, case.precision) for case in cell.cases if case.loader is Loader.FIXED}
    every = {(architecture.id, Precision.FLOAT32) for architecture in architectures}
    assert fixed == {*every, ("bert:Model", Precision.BF16)}
    assert (cell.complete, len(cell.cases)) == (True, 7)
    assert cell == read_cell(next((tmp_path / "out").glob("*.jsonl")))


def test_nothing_is_measured_twice_where_all_is_right(tmp_path: Path) -> None:
    stand_in = StandIn(tmp_path)
    tasks = plan_tasks([Architecture("bart:Model", "other")], Axes(checks=(Check("load"),)))
    measure_sparingly(replace(load_request(tmp_path, stand_in), tasks=tasks), SilentProgress())
    assert stand_in.asked == [["bart"] * 3]

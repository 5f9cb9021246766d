"""One measurement for both loaders, where they are the same code: nothing that differs is shared."""

import subprocess
from pathlib import Path

import pytest

from matrix.job import Task
from matrix.model import Check, Configuration, Loader, Precision
from matrix.probe.ranks import shared
from matrix.probe.ranks.shared import add_shared, share_loaders
from matrix.process.run import ROOT
from tests.support.runs import case

LOAD, SAVE = Check("load"), Check("save")
STOCK, FIXED = (Task("m:M", loader, (LOAD, SAVE)) for loader in Loader)


@pytest.fixture(autouse=True)
def _float32_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "find_unchanged", lambda: frozenset({Precision.FLOAT32}))


def test_a_task_of_the_fixed_loader_is_not_run_where_it_is_the_stock_one() -> None:
    assert share_loaders([STOCK, FIXED]) == ([STOCK], frozenset(FIXED.keys))


@pytest.mark.parametrize(
    "fixed",
    [
        Task("m:M", Loader.FIXED, (LOAD,)),
        Task("n:N", Loader.FIXED, (LOAD, SAVE)),
        Task("m:M", Loader.FIXED, (LOAD, SAVE), Precision.BF16),
        Task("m:M", Loader.FIXED, (LOAD, SAVE), Precision.BF16, Configuration.MIXED_DTYPES),
    ],
)
def test_what_the_stock_loader_is_not_asked_is_run(fixed: Task) -> None:
    assert share_loaders([STOCK, fixed]) == ([STOCK, fixed], frozenset())


def test_what_the_fixed_loader_changes_is_run_with_both() -> None:
    tasks = [Task("m:M", loader, (LOAD,), Precision.BF16) for loader in Loader]
    assert share_loaders(tasks) == (tasks, frozenset())


def test_the_case_of_the_fixed_loader_says_what_it_was_measured_with() -> None:
    stock = case("m:M", loader=Loader.STOCK, check=LOAD)
    first, second = add_shared([stock], frozenset(FIXED.keys))
    assert first == stock
    assert (second.key, second.measured_with, second.verdict) == (FIXED.keys[0], Loader.STOCK, stock.verdict)
    assert (second.seconds, second.load_seconds) == (0.0, 0.0)
    assert add_shared([stock], frozenset()) == [stock]


def unchanged(interpreter: Path) -> str:
    ask = "from matrix.probe.ranks.shared import find_unchanged; print(*find_unchanged())"
    done = subprocess.run([interpreter, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.measured
def test_where_transformers_loads_buffers_itself_both_loaders_are_the_same_in_float32(
    newest: Path, last_broken: Path
) -> None:
    assert (unchanged(newest), unchanged(last_broken)) == ("float32", "")

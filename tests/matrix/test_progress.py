"""What a cell's progress shows."""

from io import StringIO

from rich.console import Console

from matrix.progress import TerminalProgress
from tests.support.runs import case


def test_a_cell_that_goes_on_counts_from_one_again() -> None:
    shown = StringIO()
    progress = TerminalProgress(Console(file=shown))
    for cases in (2, 1):
        progress.begin("cell", cases)
        progress.case(case())
    assert [line.split()[0] for line in shown.getvalue().splitlines() if "/" in line] == ["1/2", "1/1"]

"""What a cell's progress shows."""

from io import StringIO

from rich.console import Console

from matrix.progress import TerminalProgress
from tests.support.runs import case


def test_a_cell_that_goes_on_counts_from_one_again() -> None:
    shown = StringIO()
    progress = TerminalProgress(Console(file=shown))
    for cases, name in ((2, "a:A"), (1, "b:B")):
        progress.begin("cell", cases)
        progress.case(case(name))
    assert [line.split()[0] for line in shown.getvalue().splitlines() if "/" in line] == ["1/2", "1/1"]

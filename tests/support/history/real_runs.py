"""The real records of tests/data/site: nine environments as they were measured."""

from functools import cache
from pathlib import Path

from matrix.history.files import list_record_paths
from matrix.history.reader import read_record_file
from matrix.model import Run

HISTORY = Path(__file__).parents[2] / "data" / "site" / "history"


@cache
def real_run() -> Run:
    """The cells of the night that is kept there."""
    return Run(tuple(read_record_file(HISTORY, path) for path in list_record_paths(HISTORY)))

"""The real records of tests/data/site: nine environments as they were measured."""

from functools import cache
from pathlib import Path

from matrix.history.files import listing, recorded
from matrix.model import Run

HISTORY = Path(__file__).parents[2] / "data" / "site" / "history"


@cache
def real_run() -> Run:
    """The cells of the night that is kept there."""
    return Run(tuple(recorded(HISTORY, path) for path in listing(HISTORY)))

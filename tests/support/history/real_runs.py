"""The real records that the repository keeps: nine environments in tests/data/site, and few cases in docs/evidence."""

from functools import cache
from pathlib import Path

from matrix.history.files import list_record_paths
from matrix.history.reader import read_record_file
from matrix.model import Run
from matrix.results.read import read_run

EVIDENCE = Path(__file__).parents[3] / "docs" / "evidence"
HISTORY = Path(__file__).parents[2] / "data" / "site" / "history"


@cache
def real_run() -> Run:
    """The cells of the night that is kept there."""
    return Run(tuple(read_record_file(HISTORY, path) for path in list_record_paths(HISTORY)))


@cache
def evidence() -> Run:
    """The records that known.toml rests on."""
    return read_run(EVIDENCE)

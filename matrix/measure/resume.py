"""Decides which earlier results a cell goes on from."""

from pathlib import Path

from matrix.errors import ResultsError
from matrix.measure.fingerprint import compute_probe_hash
from matrix.measure.request import Progress, Request
from matrix.model import Cell
from matrix.results.read import read_cell
from matrix.results.write import set_aside


def read_earlier(path: Path, request: Request, progress: Progress) -> Cell | None:
    """Reads the cell in `path` that `request` goes on from; None after any other has been set aside."""
    if not path.exists() or not path.stat().st_size:  # empty: a run ended before its packages were imported
        return None
    try:
        earlier = None if request.target else read_cell(path)  # a target is measured as a whole
    except ResultsError:
        progress.step(f"{path.name} is not a readable results file, kept as {set_aside(path).name}")
        return None
    if earlier and _is_resumed(earlier, request):
        return earlier
    progress.step(f"earlier results are kept as {set_aside(path).name}")
    return None


def _is_resumed(earlier: Cell, request: Request) -> bool:
    """Returns whether `earlier` is the same measurement, and either unfinished or asked for again."""
    # Another catalog or probe measures something else under the same names.
    measured = (earlier.catalog, earlier.probe, earlier.environment.world_size)
    same = measured == (request.catalog, compute_probe_hash(request.setup.root), request.world_size)
    return same and not earlier.error and (not earlier.complete or request.resume or request.again)

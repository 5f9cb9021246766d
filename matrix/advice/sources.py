"""Opens the sources of advice: a folder of results, a history or its database, or a published site."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Protocol

from matrix.advice.known import load_known
from matrix.advice.published_site import PublishedSite
from matrix.advice.safety import Tried, explain_stock, find_tried
from matrix.advice.source_type import SourceType, detect_source_type
from matrix.environments.packages import UNCROSSED
from matrix.errors import MatrixError, NotMeasuredError, UnknownNameError
from matrix.history.build import build_database
from matrix.history.database import open_database
from matrix.history.files import default_database
from matrix.history.snapshot import Snapshot
from matrix.history.take_snapshot import snapshot_of_run, take_snapshot
from matrix.results.read import read_run


class ResultSource(Protocol):
    """A source of results: what was measured of which architectures."""

    @property
    def night(self) -> date:
        """The newest night with results."""

    @property
    def names(self) -> Sequence[str]:
        """The ids of all architectures."""

    def tried(self, name: str) -> Sequence[Tried]:
        """Returns what was measured of one of `names`."""

    def others(self, tried: Tried) -> Mapping[str, str]:
        """Returns the versions of the other packages there that decide a result: torch and accelerate."""


class SnapshotSource:
    """The results in a snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.night = snapshot.night
        self._readings = {reading.cell.environment.id: reading for reading in snapshot.readings}
        self._known = load_known()

    @property
    def names(self) -> Sequence[str]:
        """The ids of all architectures."""
        return sorted({key.architecture for reading in self._readings.values() for key in reading.cases})

    def tried(self, name: str) -> Sequence[Tried]:
        """Returns what was measured of one of `names`, and what is known of what went wrong."""
        found = find_tried(self._readings.values(), name)
        return [replace(one, known=explain_stock(self._readings[one.environment], name, self._known)) for one in found]

    def others(self, tried: Tried) -> Mapping[str, str]:
        """Returns the versions of the other packages there that decide a result."""
        info = self._readings[tried.environment].cell.environment
        return {name: vars(info)[name] for name in UNCROSSED}


class SiteWithoutCasesError(MatrixError):
    """A published site where whole cases are needed: it has their verdicts only."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"{address} is a published site, which has verdicts but not the cases in full: "
            "pass a folder of results, a history or its database"
        )


def open_source(source: str) -> ResultSource:
    """Opens a source of results: the address of a site, a history or its database, or a folder of results.

    The database of a history is next to its folder, as for the dashboard, and built first. Raises UnknownSourceError for
    anything else, and what reading it raises: ResultsError, HistoryError, HistoryBusyError, OutputError, AddressError,
    DownloadError.
    """
    if detect_source_type(source) is SourceType.SITE:
        return PublishedSite(source)
    return SnapshotSource(open_snapshot(source))


def open_snapshot(source: str) -> Snapshot:
    """Opens a source of results that has every case in full; raises SiteWithoutCasesError, and what `open_source` raises."""
    path = Path(source)
    match detect_source_type(source):
        case SourceType.SITE:
            raise SiteWithoutCasesError(source)
        case SourceType.RESULTS:
            return snapshot_of_run(read_run(path))
        case SourceType.DATABASE:
            return _of_database(path)
        case SourceType.HISTORY:
            database = default_database(path)
            build_database(path, database)
            return _of_database(database)


def _of_database(database: Path) -> Snapshot:
    with open_database(database) as history:
        return take_snapshot(history)


def find_architecture(name: str, names: Sequence[str]) -> str:
    """Returns the one of `names` with this id, model type or class; raises NotMeasuredError for none, UnknownNameError for several."""
    wanted = name.lower()
    found = [one for one in names if wanted in (one.lower(), *one.lower().split(":"))]
    if name in names:
        return name
    if not found:
        raise NotMeasuredError(name, names)
    if len(found) > 1:
        raise UnknownNameError("architecture", [name], found)
    return found[0]

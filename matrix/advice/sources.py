"""Where advice is taken from: a folder of results, a history or its database, or a published site."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Protocol

from matrix.advice.published_site import Published
from matrix.advice.safety import Tried, tried_in
from matrix.advice.source_type import Given, given
from matrix.environments.packages import UNCROSSED
from matrix.errors import UnknownNameError
from matrix.history.build import build_database
from matrix.history.database import open_database
from matrix.history.files import default_database
from matrix.history.snapshot import Snapshot
from matrix.history.take_snapshot import snapshot_of_run, take_snapshot
from matrix.results.read import read_run


class Knowledge(Protocol):
    """What is known of which architectures."""

    @property
    def night(self) -> date:
        """The newest night that it tells of."""

    @property
    def names(self) -> Sequence[str]:
        """The ids of all architectures."""

    def tried(self, name: str) -> Sequence[Tried]:
        """What was measured of one of `names`."""

    def others(self, tried: Tried) -> Mapping[str, str]:
        """What else decides what was measured there, by package: versions of torch and accelerate."""


class Measured:
    """What a board says."""

    def __init__(self, told: Snapshot) -> None:
        self.night = told.night
        self._readings = {reading.cell.environment.id: reading for reading in told.readings}

    @property
    def names(self) -> Sequence[str]:
        """The ids of all architectures."""
        return sorted({key.architecture for reading in self._readings.values() for key in reading.cases})

    def tried(self, name: str) -> Sequence[Tried]:
        """What was measured of one of `names`."""
        return tried_in(self._readings.values(), name)

    def others(self, tried: Tried) -> Mapping[str, str]:
        """What else decides what was measured there, by package."""
        info = self._readings[tried.environment].cell.environment
        return {name: vars(info)[name] for name in UNCROSSED}


def knowledge(source: str) -> Knowledge:
    """What `source` knows: an address, a history or its database, or a folder of results.

    The database of a history is next to its folder, as for the dashboard, and built first. Raises
    NoKnowledgeError for what is none of them, and what reading it raises: ResultsError, HistoryError, HistoryBusyError,
    OutputError, AddressError, DownloadError.
    """
    path = Path(source)
    match given(source):
        case Given.SITE:
            return Published(source)
        case Given.RESULTS:
            return Measured(snapshot_of_run(read_run(path)))
        case Given.DATABASE:
            return _of_database(path)
        case Given.HISTORY:
            database = default_database(path)
            build_database(path, database)
            return _of_database(database)


def _of_database(database: Path) -> Measured:
    with open_database(database) as history:
        return Measured(take_snapshot(history))


def named(name: str, names: Sequence[str]) -> str:
    """The one of `names` that has this id, model type or class; raises UnknownNameError for none, or for several."""
    wanted = name.lower()
    found = [one for one in names if wanted in (one.lower(), *one.lower().split(":"))]
    if name in names:
        return name
    if len(found) != 1:
        raise UnknownNameError("architecture", [name], found or names)
    return found[0]

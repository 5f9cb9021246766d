"""Builds the database of a history from its record files, always all of it: the same files give the same bytes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

from matrix.errors import OtherSchemaError, ResultsError
from matrix.history.archive import lock_history
from matrix.history.database import NewDatabase, create_database
from matrix.history.files import CellState, folder_of, list_record_paths, parse_date, storable
from matrix.history.reader import LIMITS, read_record_file, read_verdicts
from matrix.model import CaseKey
from matrix.process.parallel import spread
from matrix.results.records import case_record, header_record
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class _RecordFile:
    """A readable record file: its number and path, and what it says of a cell; `header` is without times."""

    number: int
    path: str
    night: int
    environment: str
    header: str
    started: str
    state: CellState
    verdicts: Mapping[CaseKey, Verdict]

    @property
    def rank(self) -> tuple[bool, str, str]:
        """Sorts files of the same cell: the one that counts is the last."""
        return self.state.measured, self.started, self.path


@dataclass(frozen=True)
class _Rejected:
    """A file that does not count."""

    number: int
    path: str
    reason: str


def build_database(history: Path, database: Path, *, wait: bool = True) -> int:
    """Replaces the `database` by one of all record files in the folder `history`; returns how many there are.

    Raises HistoryBusyError and OutputError.
    """
    with lock_history(history, wait=wait):
        paths = list_record_paths(history)
        nights = [list(night) for _, night in groupby(enumerate(paths, start=1), key=lambda file: folder_of(file[1]))]
        with create_database() as db:
            builder = _Builder(db, history)
            # Processes read, one inserts: ids follow from the order of insertion, and so do the database's bytes.
            with spread(partial(_read_night, history), nights) as read:
                for night in read:
                    builder.add_nightly_run(night)
            builder.add_evidence()
            db.save(database)
    return len(paths)


def _read_night(history: Path, files: Sequence[tuple[int, str]]) -> list[_RecordFile | _Rejected]:
    """Returns what the files of a nightly run say, or why one cannot be read."""
    few, rest = files[: LIMITS.files_of_a_night], files[LIMITS.files_of_a_night :]
    words = f"its nightly run has more than {LIMITS.files_of_a_night} files, the limit"
    too_many = [_Rejected(number, path, f"{path}: {words}") for number, path in rest]
    return [*(_read_file(history, number, path) for number, path in few), *too_many]


def _read_file(history: Path, number: int, path: str) -> _RecordFile | _Rejected:
    try:
        night = parse_date(path)
        cell = read_verdicts(history, path)
    except (ResultsError, OtherSchemaError) as error:
        return _Rejected(number, path, str(error))
    return _RecordFile(
        number=number,
        path=path,
        night=night.toordinal(),
        environment=cell.environment.id,
        header=header_record(replace(cell, started="", cases=())),
        started=cell.started,
        state=CellState.of(cell),
        verdicts={case.key: case.verdict for case in cell.cases},
    )


def _read_evidence(history: Path, path: str) -> list[tuple[CaseKey, bytes]]:
    """Returns the cases in a record file, each as this version writes it."""
    return [(case.key, case_record(case).encode()) for case in read_record_file(history, path).cases]


class _Builder:
    """Adds nightly runs to a new database, the oldest first.

    Ids are given in the order of the files, so they are always the same.
    """

    def __init__(self, db: NewDatabase, history: Path) -> None:
        self._db, self._history = db, history
        self._environments: dict[str, int] = {}
        self._headers: dict[str, int] = {}
        self._keys: dict[CaseKey, int] = {}
        self._coverages: dict[frozenset[int], int] = {}
        self._verdicts: dict[int, dict[int, Verdict]] = defaultdict(dict)
        self._newest: dict[int, dict[int, tuple[int, str]]] = defaultdict(dict)
        """By environment and key: number and path of the last file that measured it."""

    def add_nightly_run(self, files: Sequence[_RecordFile | _Rejected]) -> None:
        """Adds the files of one night."""
        self._db.insert("file", [(file.number, file.path) for file in files])
        cells: dict[str, list[_RecordFile]] = defaultdict(list)
        for file in files:
            if isinstance(file, _RecordFile):
                cells[file.environment].append(file)
            else:
                self._reject(file.number, file.reason)
        for same in cells.values():
            self._add_cell(self._choose(same))

    def _reject(self, number: int, reason: str) -> None:
        self._db.insert("rejected", [(number, storable(reason))])

    def _choose(self, same: list[_RecordFile]) -> _RecordFile:
        """Returns the file that counts of those with the same cell; rejects the others."""
        *others, chosen = sorted(same, key=lambda file: file.rank)
        for other in others:
            # Read again, which is rare: to keep the cases of every file would need far more memory.
            alike = read_record_file(self._history, other.path) == read_record_file(self._history, chosen.path)
            what = "the same cell as" if alike else "an older or shorter measurement of the same cell as"
            self._reject(other.number, f"{other.path}: {what} {chosen.path}")
        return chosen

    def _add_cell(self, file: _RecordFile) -> None:
        environment = self._id("environment", self._environments, file.environment)
        header = self._id("header", self._headers, file.header)
        coverage = self._add_verdicts(environment, file) if file.state.measured and file.verdicts else None
        row = (file.number, file.night, environment, file.state, file.started, len(file.verdicts), header, coverage)
        self._db.insert("cell", [row])

    def _id(self, table: str, known: dict[str, int], name: str) -> int:
        if name not in known:
            known[name] = len(known) + 1
            self._db.insert(table, [(known[name], name)])
        return known[name]

    def _add_verdicts(self, environment: int, file: _RecordFile) -> int:
        """Adds the verdicts that changed; returns the coverage of the file."""
        found = {self._key_id(key): verdict for key, verdict in file.verdicts.items()}
        before = self._verdicts[environment]
        # Only what differs: most verdicts are those of the run before.
        changed = {key: verdict for key, verdict in found.items() if before.get(key) != verdict}
        self._db.insert("change", [(environment, key, file.night, verdict) for key, verdict in changed.items()])
        before.update(changed)
        self._newest[environment].update(dict.fromkeys(found, (file.number, file.path)))
        return self._coverage_id(frozenset(found))

    def _key_id(self, key: CaseKey) -> int:
        if key not in self._keys:
            self._keys[key] = len(self._keys) + 1
            self._db.insert("key", [(self._keys[key], *key)])
        return self._keys[key]

    def _coverage_id(self, keys: frozenset[int]) -> int:
        if keys not in self._coverages:
            self._coverages[keys] = len(self._coverages) + 1
            self._db.insert("coverage", [(self._coverages[keys], key) for key in sorted(keys)])
        return self._coverages[keys]

    def add_evidence(self) -> None:
        """Adds the newest measurement of every case, which is read again from its file."""
        files = [(one, file) for one, newest in self._newest.items() for file in dict.fromkeys(newest.values())]
        with spread(partial(_read_evidence, self._history), [path for _, (_, path) in files]) as read:
            for (environment, file), evidence in zip(files, read, strict=True):
                lines = ((self._keys[key], line) for key, line in evidence)
                newest = self._newest[environment]
                rows = [(environment, key, file[0], line) for key, line in lines if newest[key] == file]
                self._db.insert("evidence", rows)

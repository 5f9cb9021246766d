"""The only door to SQLite: a database built from the record files of a history, and what it answers.

The database is a function of the record files' bytes, however many steps it was built in: it may be deleted at any time.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from matrix.errors import INFRASTRUCTURE, MatrixError, OutputError, ResultsError
from matrix.history.archive import locked, publish
from matrix.history.files import (
    HALF,
    LIMITS,
    RecordFile,
    contents,
    folder_of,
    listing,
    night_of,
    record_files,
    recorded,
    storable,
    unchanged,
)
from matrix.history.reader import case_lines
from matrix.history.reader_told import FEW, Told, told
from matrix.model import Case, CaseKey, Check, Loader
from matrix.parallel import beside
from matrix.results.records import SCHEMA

VERSION: Final = 1000 * SCHEMA + 3
"""Of the tables and of the records they were read from; a database of any other version is built anew."""

OTHERS: Final = "was built from other record files"
"""Why a database is built anew whose files are gone, altered, or not the first ones."""

TABLES: Final = """
CREATE TABLE file (id INTEGER PRIMARY KEY, path TEXT NOT NULL, digest BLOB NOT NULL);
CREATE TABLE refused (file INTEGER PRIMARY KEY, reason TEXT NOT NULL);
CREATE TABLE environment (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE "key" (id INTEGER PRIMARY KEY, architecture TEXT NOT NULL, loader TEXT NOT NULL, "check" TEXT NOT NULL);
CREATE TABLE header (id INTEGER PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE coverage (id INTEGER, "key" INTEGER, PRIMARY KEY (id, "key")) WITHOUT ROWID;
CREATE TABLE cell (file INTEGER PRIMARY KEY, night INTEGER NOT NULL, environment INTEGER NOT NULL, state TEXT NOT NULL,
  started TEXT NOT NULL, cases INTEGER NOT NULL, header INTEGER NOT NULL, coverage INTEGER);
CREATE TABLE change (environment INTEGER, "key" INTEGER, night INTEGER, verdict TEXT NOT NULL,
  PRIMARY KEY (environment, "key", night)) WITHOUT ROWID;
CREATE TABLE evidence (environment INTEGER, "key" INTEGER, file INTEGER NOT NULL, line BLOB NOT NULL,
  PRIMARY KEY (environment, "key")) WITHOUT ROWID;
CREATE INDEX cell_of ON cell (environment, night);
"""
"""`night` is a date's ordinal. `key` is what a cell measures: architecture, loader, check; `coverage` a set of them, for
most cells the same. `change` has a verdict only where it differs from the case's previous one; with the coverages that
tells every night's. `evidence` is the newest measurement of each case."""


class HistoryError(MatrixError):
    """A database that answers nothing: not there, damaged, or of another version."""

    exit_code = INFRASTRUCTURE

    def __init__(self, database: Path, problem: str) -> None:
        super().__init__(f"{database} {problem}: build it from the record files again, they hold everything")


@dataclass(frozen=True)
class Built:
    """What building did: how many files were read, out of how many, and why not only the new ones (empty if so)."""

    read: int
    files: int
    anew: str = ""


def build(history: Path, database: Path, *, wait: bool = True) -> Built:
    """Bring the `database` up to the record files in the folder `history`.

    Nights after the last one known are added; anything else that changed, a missing, damaged or other database too,
    makes it be built anew. It is replaced at once, when done. Raises HistoryBusyError, OutputError.
    """
    with locked(history, wait=wait):
        paths = listing(history)
        db, anew = _start(database, paths)
        with closing(db):
            known = _count(db, "file")
            if _added(db, history, paths):
                if anew or known < len(paths):
                    _save(db, database)
                return Built(len(paths) - known, len(paths), anew)
        with closing(_empty()) as db:
            _add(db, history, paths)
            _save(db, database)
        return Built(len(paths), len(paths), OTHERS)


def _start(database: Path, paths: Sequence[str]) -> tuple[sqlite3.Connection, str]:
    """In memory: the database as it was if the files at `paths` can be added to it, else empty tables and why."""
    db = sqlite3.connect(":memory:")
    if not (problem := _copy(db, database) or _not_before(db, paths)):
        return db, ""
    db.close()
    return _empty(), problem


def _empty() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.executescript(f"{TABLES} PRAGMA user_version = {VERSION};")
    return db


def _copy(db: sqlite3.Connection, database: Path) -> str:
    if not database.exists():
        return "is not there"
    try:
        with closing(_connect(database)) as old:
            old.backup(db)
        return _damage(db)
    except sqlite3.DatabaseError as error:
        return f"is damaged ({error})"


def _connect(database: Path) -> sqlite3.Connection:
    """Read-only; `immutable` because a database is only ever replaced."""
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def _damage(db: sqlite3.Connection) -> str:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version != VERSION:
        return f"is of version {version}, not {VERSION}"
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    return "" if found == "ok" else f"is damaged ({found})"


def _not_before(db: sqlite3.Connection, paths: Sequence[str]) -> str:
    """Why the files at `paths` are not what `db` was built from and later nights, as far as their names tell."""
    known = [path for (path,) in db.execute("SELECT path FROM file ORDER BY id")]
    new = paths[len(known) :]
    if known != [storable(path) for path in paths[: len(known)]]:
        return OTHERS
    same_night = known and new and folder_of(storable(new[0])) == folder_of(known[-1])
    return "has only a part of its last night" if same_night else ""


def _added(db: sqlite3.Connection, history: Path, paths: Sequence[str]) -> bool:
    """Add the files at `paths` that `db` does not have; whether those that it has, the first of them, are as they were.

    To read a year of them again takes as long as to add a night, and is done meanwhile.
    """
    known = [digest for (digest,) in db.execute("SELECT digest FROM file ORDER BY id")]
    new, same = paths[len(known) :], partial(unchanged, history, dict(zip(paths, known, strict=False)))
    if not 0 < len(new) <= FEW:  # many are read by several processes, which should not be forked where others run
        _add(db, history, new)
        return same()
    with beside(same) as sure:
        _add(db, history, new)
        return sure()


def _count(db: sqlite3.Connection, table: str) -> int:
    count: int = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
    return count


def _save(db: sqlite3.Connection, database: Path) -> None:
    """Write the canonical form of `db`: VACUUM leaves no trace of the order of changes but a counter, set here."""
    half = database.with_name(f"{database.name}{HALF}")
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        half.unlink(missing_ok=True)
        db.execute("VACUUM INTO ?", (str(half),))
        with closing(sqlite3.connect(half)) as written:
            written.execute("PRAGMA schema_version = 1")
        publish(half, database)
    except OSError as error:
        raise OutputError(database, error) from error
    except sqlite3.Error as error:
        raise OutputError(database, OSError(str(error))) from error


def _add(db: sqlite3.Connection, history: Path, paths: Sequence[str]) -> None:
    files = record_files(history, paths)
    if not files:
        return
    builder = _Builder(db, history)
    answers = told(history, [file.path for file in files])
    for _, night in groupby(zip(files, answers, strict=True), key=lambda pair: folder_of(pair[0].path)):
        with db:
            builder.night(night)
    with db:
        builder.evidence()


def _one_too_many(path: str) -> str:
    return f"{path}: its night has more than {LIMITS.files_of_a_night} files, which none has"


@dataclass(frozen=True)
class _Read:
    """What a file of a night tells of a cell."""

    file: int
    path: str
    night: int
    told: Told

    @property
    def rank(self) -> tuple[bool, str, str]:
        """Sorts files of the same cell: the one that counts is the last."""
        return self.told.state.measured, self.told.started, self.path


class _Builder:
    """Adds nights to a database, in their order. Keys are given in the order of the files, so they are always the same."""

    def __init__(self, db: sqlite3.Connection, history: Path) -> None:
        self._db, self._history = db, history
        self._last: dict[int, tuple[tuple[Case, ...], int]] = {}
        self._newest: dict[int, dict[int, _Read]] = defaultdict(dict)
        """By environment and coverage, in the order of nights."""
        self._environments: dict[str, int] = dict(db.execute("SELECT name, id FROM environment"))
        self._headers: dict[str, int] = dict(db.execute("SELECT record, id FROM header"))
        keys = db.execute('SELECT id, architecture, loader, "check" FROM "key"')
        self._keys: dict[CaseKey, int] = {case_key(*names): id_ for id_, *names in keys}
        sets = groupby(db.execute('SELECT id, "key" FROM coverage ORDER BY id'), key=lambda row: row[0])
        self._coverages: dict[frozenset[int], int] = {frozenset(key for _, key in rows): id_ for id_, rows in sets}
        self._verdicts: dict[int, dict[int, str]] = {id_: {} for id_ in self._environments.values()}
        changes = 'SELECT environment, "key", verdict FROM change ORDER BY environment, "key", night'
        for environment, key, verdict in db.execute(changes):  # in the order in which they are kept
            self._verdicts[environment][key] = verdict

    def night(self, files: Iterable[tuple[RecordFile, Told | str]]) -> None:
        """Add the files of one night, each with what it tells or why it counts for nothing."""
        cells: dict[str, list[_Read]] = {}
        first = _count(self._db, "file") + 1
        for number, (file, answer) in enumerate(files, start=first):
            self._many("file", [(number, file.path, file.digest)])
            if number - first >= LIMITS.files_of_a_night:
                self._refuse(number, _one_too_many(file.path))
            elif read := self._read(number, file.path, answer):
                cells.setdefault(read.told.environment, []).append(read)
        for same in cells.values():
            self._cell(self._chosen(same))

    def _read(self, number: int, path: str, answer: Told | str) -> _Read | None:
        try:
            night = night_of(path).toordinal()
        except ResultsError as error:
            night, answer = 0, str(error)
        if isinstance(answer, Told):
            return _Read(number, path, night, answer)
        self._refuse(number, answer)
        return None

    def _many(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        rows = list(rows)
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)  # noqa: S608

    def _refuse(self, file: int, reason: str) -> None:
        self._many("refused", [(file, storable(reason))])

    def _chosen(self, same: list[_Read]) -> _Read:
        """The file that counts of those with the same cell; the others are refused."""
        *others, chosen = sorted(same, key=lambda read: read.rank)
        for other in others:
            what = (
                "the same cell as" if self._alike(other, chosen) else "an older or shorter measurement of the cell in"
            )
            self._refuse(other.file, f"{other.path}: {what} {chosen.path}")
        return chosen

    def _alike(self, one: _Read, other: _Read) -> bool:
        return recorded(self._history, one.path) == recorded(self._history, other.path)

    def _cell(self, read: _Read) -> None:
        told = read.told
        environment = self._id("environment", self._environments, told.environment)
        header = self._id("header", self._headers, told.header)
        coverage = self._measured(environment, read) if told.state.measured and told.cases else None
        if coverage:
            self._newest[environment].pop(coverage, None)  # so that what comes last is newest
            self._newest[environment][coverage] = read
        row = (read.file, read.night, environment, told.state, told.started, len(told.cases), header, coverage)
        self._many("cell", [row])

    def _id(self, table: str, known: dict[str, int], name: str) -> int:
        if name not in known:
            known[name] = len(known) + 1
            self._many(table, [(known[name], name)])
        return known[name]

    def _measured(self, environment: int, read: _Read) -> int:
        """Add what changed with the cell; returns its coverage."""
        last, coverage = self._last.get(environment, ((), 0))
        if read.told.cases is last:
            return coverage
        same = set(map(id, last))  # what a night repeats are the very same objects
        fresh = {self._key(case.key): case.verdict for case in read.told.cases if id(case) not in same}
        before = self._verdicts.setdefault(environment, {})
        changed = {key: verdict for key, verdict in fresh.items() if before.get(key) != verdict}
        self._many("change", ((environment, key, read.night, verdict) for key, verdict in changed.items()))
        before.update(changed)
        if fresh or len(last) != len(read.told.cases):
            coverage = self._coverage(frozenset(self._key(case.key) for case in read.told.cases))
        self._last[environment] = read.told.cases, coverage
        return coverage

    def _key(self, key: CaseKey) -> int:
        if key not in self._keys:
            self._keys[key] = len(self._keys) + 1
            self._many('"key"', [(self._keys[key], key.architecture, key.loader, key.check)])
        return self._keys[key]

    def _coverage(self, keys: frozenset[int]) -> int:
        if keys not in self._coverages:
            self._coverages[keys] = len(self._coverages) + 1
            self._many("coverage", ((self._coverages[keys], key) for key in keys))
        return self._coverages[keys]

    def evidence(self) -> None:
        """Keep the newest measurement of every case, and of no other night: what is newer than before was added here."""
        for environment, cells in self._newest.items():
            last = {case.key: read for read in cells.values() for case in read.told.cases}
            for read in {read.file: read for read in last.values()}.values():
                lines = case_lines(read.path, contents(self._history, read.path), read.told.numbers)
                found = ((case.key, line) for case, line in zip(read.told.cases, lines, strict=True))
                kept = ((self._keys[key], line) for key, line in found if last[key] is read)
                self._many("evidence", ((environment, key, read.file, line) for key, line in kept))


@lru_cache(10_000)  # every environment has them
def case_key(architecture: str, loader: str, check: str) -> CaseKey:
    """The key that a row of the table `key` names."""
    return CaseKey(architecture, Loader(loader), Check(check))


@dataclass(frozen=True)
class History:
    """An open database, for the questions below."""

    db: sqlite3.Connection

    def rows(self, question: str, **values: object) -> list[tuple[Any, ...]]:
        """What the database answers."""
        return self.db.execute(question, values).fetchall()


@contextmanager
def opened(database: Path, *, sound: bool = False) -> Iterator[History]:
    """The `database`, to be asked; a later build does not disturb. Raises HistoryError, then or while asking.

    Looking for damage takes as long as all answers about an environment: who has just opened it knows that it is `sound`.
    """
    if not database.exists():
        raise HistoryError(database, "is not there")
    with closing(_connect(database)) as db:
        try:
            if not sound and (problem := _damage(db)):
                raise HistoryError(database, problem)
            yield History(db)
        except sqlite3.DatabaseError as error:
            raise HistoryError(database, f"is damaged ({error})") from error

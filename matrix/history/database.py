"""The only door to SQLite: the tables of a history's database, a new one, and an open one that is asked."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from matrix.errors import INFRASTRUCTURE, MatrixError, OutputError
from matrix.history.archive import publish
from matrix.history.files import HALF
from matrix.model import CaseKey, Check, Configuration, Loader, Precision
from matrix.results.records import SCHEMA

VERSION: Final = 1000 * SCHEMA + 5
"""The version of the tables and of the records they were read from; a database of any other version is not read."""

TABLES: Final = """
CREATE TABLE file (id INTEGER PRIMARY KEY, path TEXT NOT NULL);
CREATE TABLE rejected (file INTEGER PRIMARY KEY, reason TEXT NOT NULL);
CREATE TABLE environment (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE "key" (id INTEGER PRIMARY KEY, architecture TEXT NOT NULL, loader TEXT NOT NULL, "check" TEXT NOT NULL,
  precision TEXT NOT NULL, configuration TEXT NOT NULL);
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
"""`night` is a date's ordinal. `key` is what a cell measures, as `CaseKey`; `coverage` a set of them, for
most cells the same. `change` has a verdict only where it differs from the case's previous one; with the coverages that
gives every night's. `evidence` is the newest measurement of each case."""

KEY_COLUMNS: Final = 'architecture, loader, "check", precision, configuration'
"""What of the table `key` is a `CaseKey`."""


class HistoryError(MatrixError):
    """A database that cannot be asked: missing, damaged, or of another version."""

    exit_code = INFRASTRUCTURE

    def __init__(self, database: Path, problem: str) -> None:
        super().__init__(f"{database} {problem}: build it again from the record files")


class NewDatabase:
    """A database in memory that rows are added to, then saved."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def insert(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Adds rows, which have all columns of the `table`."""
        rows = list(rows)
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self._db.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows)  # noqa: S608

    def save(self, path: Path) -> None:
        """Replaces the file at `path` by this database, at once; raises OutputError."""
        # Readers keep the file that they opened: a new one takes its name only when it is whole.
        half = path.with_name(f"{path.name}{HALF}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            half.unlink(missing_ok=True)
            self._db.commit()
            # VACUUM writes the pages in order: the same rows give the same bytes.
            self._db.execute("VACUUM INTO ?", (str(half),))
            publish(half, path)
        except OSError as error:
            raise OutputError(path, error) from error
        except sqlite3.Error as error:
            raise OutputError(path, OSError(str(error))) from error


@contextmanager
def create_database() -> Iterator[NewDatabase]:
    """Yields a new database with empty tables."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(f"{TABLES} PRAGMA user_version = {VERSION};")
        yield NewDatabase(db)


@dataclass(frozen=True)
class History:
    """An open database, which the queries ask."""

    db: sqlite3.Connection

    def rows(self, question: str, **values: object) -> list[tuple[Any, ...]]:
        """Returns all rows that the database answers."""
        return self.db.execute(question, values).fetchall()


@contextmanager
def open_database(database: Path) -> Iterator[History]:
    """Opens the `database` to be asked; a later build does not disturb. Raises HistoryError, then or while asking."""
    if not database.exists():
        raise HistoryError(database, "does not exist")
    # `immutable` because a database is only ever replaced
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
        try:
            if problem := _problem(db):
                raise HistoryError(database, problem)
            yield History(db)
        except sqlite3.DatabaseError as error:
            raise HistoryError(database, f"is damaged ({error})") from error


def _problem(db: sqlite3.Connection) -> str:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version != VERSION:
        return f"has version {version}, this program reads version {VERSION}"
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    return "" if found == "ok" else f"is damaged ({found})"


@lru_cache(10_000)  # every environment has them
def case_key(architecture: str, loader: str, check: str, precision: str, configuration: str) -> CaseKey:
    """Returns the key that a row of the table `key` names."""
    return CaseKey(architecture, Loader(loader), Check(check), Precision(precision), Configuration(configuration))

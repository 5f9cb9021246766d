"""A history of nightly runs in a temporary folder: record files, the database built from them, and short cells to fill it."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from matrix.history.build import build_database
from matrix.history.database import History, open_database
from matrix.model import Cell
from matrix.results.records import case_record, end_record, header_record
from matrix.verdicts import Verdict
from tests.support.runs import ROUTER, case, info

FIRST = date(2026, 11, 22)
OLD, NEW = info("5.5.4"), info("5.23.0")
CORRUPT, PASS = case(ROUTER, Verdict.CORRUPT), case(ROUTER)


def day(number: int) -> date:
    """Returns the day of the nightly run with this number."""
    return FIRST + timedelta(days=number)


def lines(whole: Cell) -> bytes:
    """Returns the content of the record file of a cell."""
    records = [header_record(whole), *map(case_record, whole.cases)]
    return "".join(
        f"{record}\n" for record in [*records, *[end_record(whole.cases, whole.timing)] * whole.complete]
    ).encode()


def name(whole: Cell) -> str:
    """Returns the name of the record file of a cell."""
    return f"{whole.environment.id}.jsonl"


class Folder:
    """A history in a temporary folder, and its database."""

    def __init__(self, path: Path) -> None:
        self.records, self.database, self.run = path / "history", path / "site/history.sqlite", path / "run"

    def keep(self, number: int, *cells: Cell) -> None:
        """Writes these cells as the nightly run of this number, packed."""
        for whole in cells:
            self.put(f"{day(number)}/{name(whole)}.gz", gzip.compress(lines(whole), mtime=0))

    def put(self, path: str, content: bytes) -> None:
        """Writes a file below the folder of records."""
        (self.records / path).parent.mkdir(parents=True, exist_ok=True)
        (self.records / path).write_bytes(content)

    def measure(self, *cells: Cell) -> Path:
        """A run's folder with these results."""
        self.run.mkdir(parents=True, exist_ok=True)
        for whole in cells:
            (self.run / name(whole)).write_bytes(lines(whole))
        return self.run

    def build(self) -> int:
        """Builds the database from the records."""
        return build_database(self.records, self.database)

    def rebuilt(self) -> bytes:
        """What the records alone give."""
        other = self.database.with_name("other.sqlite")
        other.unlink(missing_ok=True)
        build_database(self.records, other)
        return other.read_bytes()

    @contextmanager
    def asked(self) -> Iterator[History]:
        """Builds the database and opens it."""
        self.build()
        with open_database(self.database) as answers:
            yield answers


def interrupted(*_: object) -> None:
    """Ends whatever it replaces, as Ctrl-C does."""
    raise KeyboardInterrupt

"""From what was measured to its site: what `python -m bot dashboard` does."""

import gc
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path

from bot.site.data.index import Atlas
from bot.site.pages.feed import NOBODY, Publisher, recent
from bot.site.publish import Written, publish
from bot.text import count
from matrix.advice.known import load_known
from matrix.catalog.lockfile import read_lock
from matrix.history.database import History, build, opened
from matrix.history.queries import Night, Transition, nights, refused, withdrawn
from matrix.history.snapshot import Board, board, board_of
from matrix.parallel import beside
from matrix.results.store import read_run

Families = Mapping[str, str]
Tell = Callable[[str], None]


def site_of_results(results: Path, out: Path, families: Families, tell: Tell) -> Written:
    """The site of the results of one run: without history strips and changes."""
    return publish(_atlas(board_of(read_run(results)), families), out, None, tell)


@dataclass(frozen=True)
class Sources:
    """A history: the folder with its records, where its database is, and who publishes its feed."""

    records: Path
    database: Path
    publisher: Publisher = NOBODY


def site_of_history(sources: Sources, out: Path, families: Families, tell: Tell) -> Written:
    """The site of a history, whose database is brought up to date first."""
    with _lasting():
        built = build(sources.records, sources.database)
        tell(f"{built.read} of {built.files} record files read into {sources.database}")
        with beside(partial(_past, sources.database)) as past, opened(sources.database) as history:
            _tell_refused(sources, len(refused(history)), tell)
            told = board(history)
            rest = past() if past().night == told.night else _Past.of(history)  # somebody built it again meanwhile
            atlas = replace(_atlas(told, families), publisher=sources.publisher, **vars(rest))
    return publish(atlas, out, sources.database, tell)


@dataclass(frozen=True)
class _Past:
    """What an atlas tells of a history besides its board."""

    nights: tuple[Night, ...]
    recent: tuple[Transition, ...]
    withdrawn: int

    @classmethod
    def of(cls, history: History) -> "_Past":
        """What `history` tells."""
        return cls(nights(history), recent(history), withdrawn(history))

    @property
    def night(self) -> date:
        """The newest night, as a board has it."""
        return self.nights[-1].day if self.nights else date.min


def _past(database: Path) -> _Past:
    with opened(database) as history:
        return _Past.of(history)


def _tell_refused(sources: Sources, number: int, tell: Tell) -> None:
    """Say that files do not count, and what names them."""
    if number:
        command = ["python", "-m", "matrix", "history", str(sources.records), "--database", str(sources.database)]
        verb = "does" if number == 1 else "do"
        tell(f"{count(number, 'record file')} {verb} not count: {shlex.join(command)} names each and why")


@contextmanager
def _lasting() -> Iterator[None]:
    """What is made inside lasts until the end: the collector would look through it time and again, and find nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _atlas(told: Board, families: Families) -> Atlas:
    lock = read_lock()
    sites = {one.id: tuple(one.sites_in()) for one in lock.architectures}
    return Atlas(told, families, sites, load_known(), lock=lock)

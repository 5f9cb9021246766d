"""From what was measured to its site: what `python -m bot dashboard` does."""

import gc
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bot.site.data.index import Atlas
from bot.site.data.publisher import NOBODY, Publisher
from bot.site.outputs.feed import recent
from bot.site.publish import publish
from bot.text import count
from matrix.advice.known import load_known
from matrix.catalog.lockfile import read_lock
from matrix.history.database import build, opened
from matrix.history.queries import nights, refused, withdrawn
from matrix.history.snapshot import Board, board, board_of
from matrix.results.store import read_run

Families = Mapping[str, str]
Tell = Callable[[str], None]


def site_of_results(results: Path, out: Path, families: Families, tell: Tell) -> int:
    """The site of the results of one run: without history strips and changes."""
    return publish(_atlas(board_of(read_run(results)), families), out, None, tell)


@dataclass(frozen=True)
class Sources:
    """A history: the folder with its records, where its database is, and who publishes its feed."""

    records: Path
    database: Path
    publisher: Publisher = NOBODY


def site_of_history(sources: Sources, out: Path, families: Families, tell: Tell) -> int:
    """The site of a history, whose database is brought up to date first."""
    with _lasting():
        built = build(sources.records, sources.database)
        tell(f"{built.read} of {built.files} record files read into {sources.database}")
        with opened(sources.database) as history:
            _tell_refused(sources, len(refused(history)), tell)
            atlas = replace(
                _atlas(board(history), families),
                publisher=sources.publisher,
                nights=nights(history),
                recent=recent(history),
                withdrawn=withdrawn(history),
            )
    return publish(atlas, out, sources.database, tell)


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

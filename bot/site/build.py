"""Builds a site from what was measured: what `python -m bot dashboard` does."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

from bot.site.data.publisher import NOBODY, Publisher
from bot.site.data.site_index import CaseHistories, SiteIndex
from bot.site.publish import publish_site
from bot.text import count
from matrix.advice.known import load_known
from matrix.catalog.lockfile import read_lock
from matrix.history.build import build_database
from matrix.history.case_history import query_case_histories
from matrix.history.changes import VerdictChange, count_retracted, query_changes
from matrix.history.database import History, open_database
from matrix.history.queries import query_days, query_nightly_runs, query_rejected_files
from matrix.history.snapshot import Snapshot
from matrix.history.take_snapshot import snapshot_of_run, take_snapshot
from matrix.results.read import read_run

Families = Mapping[str, str]
Echo = Callable[[str], None]

NIGHTS: Final = 14
"""How many nightly runs the feed of changes looks back."""


def write_site_of_results(results: Path, out: Path, families: Families, echo: Echo) -> int:
    """Writes the site of the results of one run, which has no history; returns how many files it has."""
    return publish_site(_site_index(snapshot_of_run(read_run(results)), families), out, echo)


@dataclass(frozen=True)
class Sources:
    """A history: the folder with its records, where its database is, and who publishes its feed."""

    records: Path
    database: Path
    publisher: Publisher = NOBODY


def write_site_of_history(sources: Sources, out: Path, families: Families, echo: Echo) -> int:
    """Builds the database of a history and writes its site; returns how many files the site has."""
    files = build_database(sources.records, sources.database)
    echo(f"{count(files, 'record file')} read into {sources.database}")
    with open_database(sources.database) as history:
        _print_rejected(sources, len(query_rejected_files(history)), echo)
        site = replace(
            _site_index(take_snapshot(history), families),
            publisher=sources.publisher,
            nights=query_nightly_runs(history),
            recent=fetch_recent_changes(history),
            retracted=count_retracted(history),
            case_histories=partial(_case_histories, sources.database),
        )
    return publish_site(site, out, echo)


def fetch_recent_changes(history: History, number: int = NIGHTS) -> tuple[VerdictChange, ...]:
    """Returns what changed in each of the newest `number` nightly runs of a history."""
    newest = (date.min, *query_days(history))[-number - 1 :]
    return tuple(change for before, after in pairwise(newest) for change in query_changes(history, before, after))


def _case_histories(database: Path, environment: str, nights: Sequence[date]) -> CaseHistories:
    with open_database(database) as history:
        return query_case_histories(history, environment, nights)


def _print_rejected(sources: Sources, number: int, echo: Echo) -> None:
    """Prints that files do not count, and which command names them."""
    if number:
        command = ["python", "-m", "matrix", "history", str(sources.records), "--database", str(sources.database)]
        verb = "does" if number == 1 else "do"
        echo(f"{count(number, 'record file')} {verb} not count. To see which and why: {shlex.join(command)}")


def _site_index(snapshot: Snapshot, families: Families) -> SiteIndex:
    lock = read_lock()
    sites = {one.id: tuple(one.sites_in()) for one in lock.architectures}
    return SiteIndex(snapshot, families, sites, load_known(), lock=lock)

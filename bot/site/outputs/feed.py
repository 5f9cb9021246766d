"""PURE. What changed, for feed readers: a nightly run has one entry for all cases that changed alike."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from bot.site.data import urls
from bot.site.data.publisher import NOBODY, Publisher
from bot.text import Code, clip, count
from bot.verdict_words import describe_variants
from matrix.checks import find_variants
from matrix.history.changes import VerdictChange
from matrix.model import CaseKey, Loader
from matrix.text import join_lines
from matrix.verdicts import Verdict

ENTRIES: Final = 50
LISTED: Final = 20
"""How many lines an entry has, and how many names a line."""


@dataclass(frozen=True)
class FeedLine:
    """The changes of an entry in one environment with one loader, in the same checks and precisions.

    `more` of the architectures are not named.
    """

    environment: Code
    page: str
    how: str
    architectures: tuple[Code, ...]
    more: int


@dataclass(frozen=True)
class Entry:
    """All cases that changed alike in a nightly run. `id` is a tag URI and stays; `more` lines are left out."""

    id: str
    title: str
    night: date
    page: str
    lines: tuple[FeedLine, ...]
    more: int


@dataclass(frozen=True)
class Feed:
    """An Atom feed (RFC 4287) at the address `itself`, about the page `page`.

    `updated` is the date of the newest nightly run. The newest of `entries` comes first.
    """

    id: str
    title: str
    itself: str
    page: str
    updated: date
    entries: tuple[Entry, ...]


def build_feed(changes: Iterable[VerdictChange], night: date, publisher: Publisher = NOBODY) -> Feed:
    """Returns the feed of `changes`, as of a `night`."""
    alike: dict[tuple[date, Verdict | None, Verdict], list[VerdictChange]] = defaultdict(list)
    for change in changes:
        alike[change.night, change.before, change.after].append(change)
    entries = sorted(((kind, _entry(kind, found, publisher)) for kind, found in alike.items()), key=_order)
    return Feed(
        id=f"tag:{publisher.authority},2026:changes",
        title="ZeRO-3 compatibility: what changed",
        itself=publisher.link(urls.FEED),
        page=publisher.link(urls.START),
        updated=night,
        entries=tuple(entry for _, entry in entries[:ENTRIES]),
    )


_Kind = tuple[date, Verdict | None, Verdict]


def _order(found: tuple[_Kind, Entry]) -> tuple[int, bool, int, int]:
    """The newest nightly run first; in it what got worse, then what recovered, then what is new."""
    (night, before, after), _ = found
    return -night.toordinal(), before is None, after.rank, before.rank if before else 0


def _entry(kind: _Kind, changes: Sequence[VerdictChange], publisher: Publisher) -> Entry:
    night, before, after = kind
    found: dict[tuple[str, Loader, str], set[CaseKey]] = defaultdict(set)
    for change in changes:
        found[change.environment, change.key.loader, change.key.architecture].add(change.key)
    lines: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (environment, loader, architecture), keys in found.items():
        lines[environment, f"{loader}, {describe_variants(find_variants(keys))}"].append(architecture)
    environments = sorted({change.environment for change in changes})
    return Entry(
        id=f"tag:{publisher.authority},{night}:{before or 'new'}-{after}",
        title=f"{_change(before, after, len(changes))} in {_where(environments)}",
        night=night,
        page=publisher.link(urls.environment(environments[0]) if len(environments) == 1 else urls.START),
        lines=tuple(_line(place, names, publisher) for place, names in sorted(lines.items())[:LISTED]),
        more=max(0, len(lines) - LISTED),
    )


def _change(before: Verdict | None, after: Verdict, number: int) -> str:
    """`3 cases went from pass to crash`."""
    cases = count(number, "case")
    if before is None:
        return f"{cases} measured for the first time: {after.row.word}"
    return f"{cases} went from {before.row.word} to {after.row.word}"


def _where(environments: Sequence[str]) -> str:
    if len(environments) == 1:
        return join_lines(clip(environments[0]))
    return count(len(environments), "environment")


def _line(place: tuple[str, str], architectures: Sequence[str], publisher: Publisher) -> FeedLine:
    environment, how = place
    names = tuple(map(clip, sorted(architectures)[:LISTED]))
    page = publisher.link(urls.environment(environment))
    return FeedLine(clip(environment), page, how, names, max(0, len(architectures) - LISTED))

"""PURE. Where a case changes from wrong to right, or back, from one version to the next."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

from bot.site.data.axes import OTHER, Axis
from bot.site.data.links import get_verdict
from bot.site.data.site_index import SiteIndex
from bot.site.data.views import Words, words
from bot.text import Code, clip, join_words
from matrix.checks import case_keys
from matrix.model import CaseKey, Device, Loader
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class Span:
    """Neighbouring measured versions, the oldest first, where a case has the same `outcome`; `right` when it passes.

    `begins` are the pages of the environments of the first version.
    """

    right: bool
    outcome: str
    first: Code
    last: Code
    begins: tuple[str, ...]


@dataclass(frozen=True)
class VersionRange:
    """The versions along one `axis` where a case changes from wrong to right or back.

    It is the same for several versions of the other package. A span that is `right` after one that is not begins with the
    first good version, and the other way round.
    """

    device: Device
    loader: Loader
    check: str
    axis: Axis
    spans: tuple[Span, ...]
    text: Words


_Changes = tuple[tuple[str, Code, Code], ...]
"""The outcome of each span, its first and last version."""

_Line = tuple[str, tuple[Span, ...]]
"""A version of one package, and what becomes of a case along the other."""


def find_version_ranges(site: SiteIndex, architecture: str) -> tuple[VersionRange, ...]:
    """Returns the version ranges of an architecture: along transformers all, along deepspeed those where the outcome changes."""
    return tuple(
        found
        for device in site.devices
        for key in case_keys(architecture, site.variants)
        for axis in OTHER
        for found in _version_ranges_of(site, device, key, axis)
    )


def _outcome(verdict: Verdict | None) -> str:
    return verdict.row.outcome if verdict else ""


def _version_ranges_of(site: SiteIndex, device: Device, key: CaseKey, axis: Axis) -> Iterator[VersionRange]:
    """Lines that change at the same versions are one version range."""
    alike: dict[_Changes, list[_Line]] = defaultdict(list)
    for other, line in site.lines[device, axis].items():
        changes, spans = _spans(line.stops, tuple(_outcome(get_verdict(one, key)) for one in line.readings))
        alike[changes].append((other, spans))
    for lines in alike.values():
        if len(lines[0][1]) > (axis == "deepspeed"):
            yield _version_range(device, key, axis, lines)


def _version_range(device: Device, key: CaseKey, axis: Axis, lines: Sequence[_Line]) -> VersionRange:
    others = tuple(clip(other) for other, _ in lines)
    spans = tuple(_joined(same) for same in zip(*(spans for _, spans in lines), strict=True))
    return VersionRange(device, key.loader, key.variant.what, axis, spans, _words(axis, others, spans))


def _joined(same: Sequence[Span]) -> Span:
    first = same[0]
    return Span(
        first.right, first.outcome, first.first, first.last, tuple(page for span in same for page in span.begins)
    )


@lru_cache(10_000)  # most architectures change where others do
def _spans(stops: Sequence[tuple[Code, str]], outcomes: Sequence[str]) -> tuple[_Changes, tuple[Span, ...]]:
    """The stops of a line as runs of equal outcome; those that say nothing are left out."""
    all_stops = zip(outcomes, stops, strict=True)
    known = [(outcome, *stop) for outcome, stop in all_stops if outcome]
    runs = [(outcome, list(run)) for outcome, run in groupby(known, key=itemgetter(0))]
    spans = tuple(Span(outcome == "right", outcome, run[0][1], run[-1][1], (run[0][2],)) for outcome, run in runs)
    return tuple((span.outcome, span.first, span.last) for span in spans), spans


def _words(axis: Axis, others: Sequence[str], spans: Sequence[Span]) -> Words:
    """`with deepspeed 0.19.8: wrong in transformers 4.40.2 to 5.5.4, right from 5.6.0 on`."""
    first, *later = spans
    texts = [f"{first.outcome} in {axis} {_versions(first)}"]
    texts += [
        f"{span.outcome} " + (f"from {span.first} on" if span is spans[-1] else f"in {_versions(span)}")
        for span in later
    ]
    return words(f"with {OTHER[axis]} {join_words(others)}: {', '.join(texts)}")


def _versions(span: Span) -> str:
    return span.first if span.first == span.last else f"{span.first} to {span.last}"

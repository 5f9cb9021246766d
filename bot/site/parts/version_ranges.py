"""PURE. Where a case changes from wrong to right, or back, from one version to the next."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

from bot.site.data.axes import OTHER, Axis
from bot.site.data.links import get_verdict
from bot.site.data.site_index import SiteIndex
from bot.site.data.views import Words, words
from bot.text import Code, clip, join_words
from bot.verdict_words import describe_variants
from matrix.checks import case_keys
from matrix.model import CaseKey, Device, Loader, Variant
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

    It is the same for several versions of the other package, and for all `variants`, which have the same loader. A span that is `right` after one that is not begins with the
    first good version, and the other way round.
    """

    device: Device
    variants: tuple[Variant, ...]
    axis: Axis
    spans: tuple[Span, ...]
    text: Words

    @property
    def loader(self) -> Loader:
        """The loader."""
        return self.variants[0].loader

    @property
    def checks(self) -> str:
        """What was done in what: `load and save in float32 and bf16`."""
        return describe_variants(self.variants)


_Changes = tuple[tuple[str, Code, Code], ...]
"""The outcome of each span, its first and last version."""

_Line = tuple[str, tuple[Span, ...]]
"""A version of one package, and what becomes of a case along the other."""


def find_version_ranges(site: SiteIndex, architecture: str) -> tuple[VersionRange, ...]:
    """Returns the version ranges of an architecture: along transformers all, along deepspeed those where the outcome changes.

    Those of a case come one after the other.
    """
    alike: dict[tuple[object, ...], list[VersionRange]] = defaultdict(list)
    for device in site.devices:
        for key in case_keys(architecture, site.variants):
            for axis in OTHER:
                for one in _version_ranges_of(site, device, key, axis):
                    alike[one.device, one.loader, one.axis, one.spans, one.text].append(one)
    joined = [replace(same[0], variants=tuple(one.variants[0] for one in same)) for same in alike.values()]
    places = {case: place for place, case in enumerate(dict.fromkeys(map(_case, joined)))}
    return tuple(sorted(joined, key=lambda one: places[_case(one)]))


def _case(one: VersionRange) -> tuple[object, ...]:
    return one.device, one.variants


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
    return VersionRange(device, (key.variant,), axis, spans, _words(axis, others, spans))


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

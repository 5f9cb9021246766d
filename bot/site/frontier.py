"""PURE. Where a case turns from wrong to right, or back, from one version to the next."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from bot.site import links
from bot.site.atlas import KINDS, OTHER, Atlas, verdict_of, version_of
from bot.site.context import Axis, Frontier, Outcome, Span, Words, words
from bot.text import clip, listed
from matrix.board import Reading
from matrix.model import CaseKey, Device, Verdict

_OUTCOMES: Final[Mapping[Verdict | None, Outcome]] = {
    Verdict.PASS: "right",
    Verdict.CORRUPT: "wrong",
    Verdict.REPORTED: "wrong",
    Verdict.CRASH: "crash",
    Verdict.HANG: "hang",
    Verdict.FLAKY: "flaky",
    Verdict.NOT_PARTITIONED: "not partitioned",
}
"""What a verdict says of a version; those that are not here say nothing of ZeRO-3."""

_Line = tuple[str, tuple[Span, ...]]
"""A version of one package, and what becomes of a case along the other."""


def frontiers(atlas: Atlas, architecture: str) -> tuple[Frontier, ...]:
    """The frontiers of an architecture: along transformers all, along deepspeed those where something turns."""
    return tuple(
        frontier
        for device in atlas.devices
        for loader, check in KINDS
        for axis in OTHER
        for frontier in _frontiers(atlas, device, CaseKey(architecture, loader, check), axis)
    )


def becomes(outcome: Outcome) -> str:
    """What a case does from some version on: `right`, `crashes`."""
    return {"crash": "crashes", "hang": "hangs"}.get(outcome, outcome)


def _frontiers(atlas: Atlas, device: Device, key: CaseKey, axis: Axis) -> Iterator[Frontier]:
    """Lines that turn at the same versions are one frontier."""
    alike: dict[object, list[_Line]] = defaultdict(list)
    for other, readings in atlas.lines[device, axis].items():
        spans = tuple(_spans(readings, key, axis))
        alike[tuple((span.outcome, span.first, span.last) for span in spans)].append((other, spans))
    for lines in alike.values():
        if len(lines[0][1]) > (axis == "deepspeed"):
            yield _frontier(device, key, axis, lines)


def _frontier(device: Device, key: CaseKey, axis: Axis, lines: Sequence[_Line]) -> Frontier:
    others = tuple(clip(other) for other, _ in lines)
    spans = tuple(_joined(same) for same in zip(*(spans for _, spans in lines), strict=True))
    return Frontier(device, key.loader, key.check, axis, others, spans, _words(axis, others, spans))


def _joined(same: Sequence[Span]) -> Span:
    first = same[0]
    return Span(
        first.right, first.outcome, first.first, first.last, tuple(page for span in same for page in span.begins)
    )


def _spans(readings: Iterable[Reading], key: CaseKey, axis: Axis) -> Iterator[Span]:
    """The readings, the oldest first, as runs of equal outcome; those that say nothing are left out."""
    told = ((_OUTCOMES.get(verdict_of(reading, key)), reading) for reading in readings)
    known = [(state, reading) for state, reading in told if state is not None]
    for state, run in groupby(known, key=lambda one: one[0]):
        infos = [reading.cell.environment for _, reading in run]
        first, last = (clip(version_of(info, axis)) for info in (infos[0], infos[-1]))
        yield Span(state == "right", state, first, last, (links.environment(infos[0].id),))


def _words(axis: Axis, others: Sequence[str], spans: Sequence[Span]) -> Words:
    """`with deepspeed 0.19.8: wrong in transformers 4.40.2 to 5.5.4, right from 5.6.0 on`."""
    first, *later = spans
    told = [f"{becomes(first.outcome)} in {axis} {_versions(first)}"]
    told += [
        f"{becomes(span.outcome)} " + (f"from {span.first} on" if span is spans[-1] else f"in {_versions(span)}")
        for span in later
    ]
    return words(f"with {OTHER[axis]} {listed(others)}: {', '.join(told)}")


def _versions(span: Span) -> str:
    return span.first if span.first == span.last else f"{span.first} to {span.last}"

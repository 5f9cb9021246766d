"""PURE. The page of the cases that an architecture has in an environment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Final

from bot.report.context import Evidence
from bot.report.evidence import Signature, evidence
from bot.report.labels import command
from bot.site.data import urls as links
from bot.site.data.index import Atlas
from bot.site.data.page_types import CasesPage
from bot.site.data.views import CaseEntry, EnvironmentLink, FailureLink, Link, Segment
from bot.text import clip
from matrix.history.queries import Mark, Night
from matrix.history.snapshot import Dated, Reading
from matrix.model import CaseKey, EnvironmentInfo, keys_of
from matrix.verdicts import Verdict

TENSORS_SHOWN: Final = 60
"""How many wrong tensors a case shows; the records have them all."""
NIGHTS: Final = 60
"""How many nights a history strip has."""

Strips = Mapping[CaseKey, tuple[Mark, ...]]


@dataclass(frozen=True)
class Shelf:
    """All that the case pages of one environment are made of.

    `nights` are those that its history strips tell of.
    """

    reading: Reading
    link: EnvironmentLink
    failures: Mapping[CaseKey, tuple[FailureLink, ...]] = field(default_factory=dict)
    nights: tuple[Night, ...] = ()

    @property
    def architectures(self) -> tuple[str, ...]:
        """What the environment has cases of."""
        return tuple(dict.fromkeys(key.architecture for key in self.reading.cases))


def shelves(atlas: Atlas) -> Iterator[Shelf]:
    """One for each environment with cases."""
    for reading in atlas.readings:
        name = reading.cell.environment.id
        found = {key: atlas.failures_of[name, key] for key in reading.cases if (name, key) in atlas.failures_of}
        if reading.cases:
            nights = tuple(night for night in atlas.nights if night.day <= reading.night)
            yield Shelf(reading, atlas.of(reading), found, nights[-NIGHTS:])


def cases_pages(shelf: Shelf, strips: Strips) -> Iterator[CasesPage]:
    """A page for each architecture that the environment has a case of."""
    told = _segments(strips)
    for architecture in shelf.architectures:
        yield _page(shelf, told, architecture)


def _segments(strips: Strips) -> Mapping[CaseKey, tuple[Segment, ...]]:
    """The strips by what they say, those that are the very same object, as most are, told once."""
    different = {id(strip): strip for strip in strips.values()}
    told = {name: segments(strip) for name, strip in different.items()}
    return {key: told[id(strip)] for key, strip in strips.items()}


def _page(shelf: Shelf, strips: Mapping[CaseKey, tuple[Segment, ...]], architecture: str) -> CasesPage:
    name, title = shelf.reading.cell.environment.id, clip(architecture)
    keys = keys_of(architecture)
    found = [(key, shelf.reading.cases.get(key)) for key in keys]
    return CasesPage(
        path=links.cases(name, architecture),
        title=f"{title} with {shelf.link.label}",
        crumbs=(Link("Environments", links.ENVIRONMENTS), Link(shelf.link.label, shelf.link.page)),
        night=shelf.reading.night,
        environment=shelf.link,
        architecture=Link(title, links.architecture(architecture)),
        cases=tuple(_entry(shelf, dated, strips.get(key, ())) for key, dated in found if dated),
        untested=tuple(f"{key.loader} {key.check}" for key, dated in found if not dated),
    )


def _entry(shelf: Shelf, dated: Dated, strip: tuple[Segment, ...]) -> CaseEntry:
    case, info = dated.case, shelf.reading.cell.environment
    found = _found(Signature(case.verdict, case.tensors, case.findings, case.error, info.world_size))
    return CaseEntry(
        anchor=f"{case.loader}-{case.check}",
        loader=case.loader,
        check=case.check,
        verdict=case.verdict,
        night=dated.night,
        since=dated.since,
        tensors=case.tensors,
        compared=found.compared,
        wrong=found.total,
        sites=found.sites,
        more_sites=found.more_sites,
        error=found.error,
        control=_control(case.verdict, info),
        confirmed=case.confirmed,
        seconds=case.seconds,
        command=command(info, case),
        failures=shelf.failures.get(case.key, ()),
        strip=strip,
    )


@lru_cache(4096)  # environments have most of it in common
def _found(signature: Signature) -> Evidence:
    return evidence(signature, (), TENSORS_SHOWN)


def segments(strip: Sequence[Mark]) -> tuple[Segment, ...]:
    """The nights of a strip, those in a row that say the same together."""
    runs = ((verdict, list(run)) for verdict, run in groupby(strip, key=attrgetter("verdict")))
    return tuple(Segment(verdict, run[0].night, run[-1].night, len(run)) for verdict, run in runs)


def _control(verdict: Verdict, info: EnvironmentInfo) -> str:
    """What the plain load says, in one process and without ZeRO-3."""
    match verdict:
        case Verdict.BASELINE_BROKEN:
            return "Control: the same model fails in one process without ZeRO-3 too, so ZeRO-3 is not to blame."
        case Verdict.UNSUPPORTED | Verdict.ENVIRONMENT:
            return f"No control: transformers {clip(info.transformers)} could not build the model."
        case _:
            return "Control: the same model loads right in one process without ZeRO-3."

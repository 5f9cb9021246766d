"""PURE. The page of the cases that an architecture has in an environment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Final

from bot.report.context import ErrorView, EvidenceView, SiteView
from bot.report.evidence import Signature, build_evidence
from bot.report.labels import format_command
from bot.site.data import urls
from bot.site.data.page import Page, PageKind
from bot.site.data.site_index import CaseHistories, SiteIndex
from bot.site.data.views import EnvironmentLink, FailureLink, Link
from bot.text import Code, Sentence, clip
from matrix.checks import case_keys
from matrix.history.case_history import NightlyVerdict
from matrix.history.snapshot import DatedCase, Reading
from matrix.model import CaseKey, EnvironmentInfo, Loader
from matrix.verdicts import Verdict

TENSORS_SHOWN: Final = 60
"""How many wrong tensors a case shows; the records have them all."""
NIGHTS: Final = 60
"""How many nightly runs the history of a case has."""


@dataclass(frozen=True)
class Segment:
    """Nightly runs in a row that say the same of a case; `verdict` is None where none of them measured it."""

    verdict: Verdict | None
    first: date
    last: date
    nights: int


@dataclass(frozen=True)
class CaseDetail:
    """One case with its evidence; `baseline` says what a plain load did, `history` has the oldest first."""

    anchor: str
    loader: Loader
    check: str
    verdict: Verdict
    night: date
    since: date
    compared: str
    wrong: int
    sites: tuple[SiteView, ...]
    more_sites: int
    error: ErrorView | None
    differences: tuple[Sentence, ...]
    baseline: str
    confirmed: tuple[int, int]
    seconds: float
    command: Code
    failures: tuple[FailureLink, ...]
    history: tuple[Segment, ...]

    @property
    def cut(self) -> bool:
        """Whether some wrong tensors are not shown."""
        return bool(self.more_sites or any(site.more for site in self.sites))


@dataclass(frozen=True, kw_only=True)
class CasesPage(Page):
    """The cases of an architecture in an environment."""

    environment: EnvironmentLink
    architecture: Link
    cases: tuple[CaseDetail, ...]
    untested: tuple[str, ...]


_Histories = Mapping[CaseKey, tuple[Segment, ...]]


def build(site: SiteIndex, reading: Reading) -> Iterator[CasesPage]:
    """Builds a page for each architecture that an environment has cases of."""
    nights = [night.day for night in site.nights if night.day <= reading.night][-NIGHTS:]
    histories = site.case_histories(reading.cell.environment.id, nights)
    segments = _segments_of(histories)
    for architecture in dict.fromkeys(key.architecture for key in reading.cases):
        yield _page(site, reading, architecture, segments)


def _segments_of(histories: CaseHistories) -> _Histories:
    """The histories in segments. Most are the very same object, and each object is cut only once."""
    different = {id(history): history for history in histories.values()}
    cut = {name: cut_history(history) for name, history in different.items()}
    return {key: cut[id(history)] for key, history in histories.items()}


def _page(site: SiteIndex, reading: Reading, architecture: str, histories: _Histories) -> CasesPage:
    link, title = site.of(reading), clip(architecture)
    found = [(key, reading.cases.get(key)) for key in case_keys(architecture, site.variants_of(reading))]
    failures = site.failures_of
    return CasesPage(
        path=urls.cases(reading.cell.environment.id, architecture),
        title=f"{title} with {link.label}",
        crumbs=(Link("Environments", urls.ENVIRONMENTS), Link(link.label, link.page)),
        night=reading.night,
        environment=link,
        architecture=Link(title, urls.architecture(architecture)),
        cases=tuple(
            _entry(reading, dated, failures.get((reading.cell.environment.id, key), ()), histories.get(key, ()))
            for key, dated in found
            if dated
        ),
        untested=tuple(str(key.variant) for key, dated in found if not dated),
    )


def _entry(
    reading: Reading, dated: DatedCase, failures: tuple[FailureLink, ...], history: tuple[Segment, ...]
) -> CaseDetail:
    case, info = dated.case, reading.cell.environment
    found = _found(Signature.of(case, info.world_size))
    return CaseDetail(
        anchor=case.key.variant.slug,
        loader=case.loader,
        check=case.key.variant.what,
        verdict=case.verdict,
        night=dated.night,
        since=dated.since,
        compared=found.compared,
        wrong=found.total,
        sites=found.sites,
        more_sites=found.more_sites,
        error=found.error,
        differences=found.differences,
        baseline=_baseline(case.verdict, info),
        confirmed=case.confirmed,
        seconds=case.seconds,
        command=format_command(info, case),
        failures=failures,
        history=history,
    )


@lru_cache(4096)  # environments have most of it in common
def _found(signature: Signature) -> EvidenceView:
    return build_evidence(signature, (), TENSORS_SHOWN)


def cut_history(history: Sequence[NightlyVerdict]) -> tuple[Segment, ...]:
    """Returns the nightly runs of a history, those in a row that say the same together."""
    runs = ((verdict, list(run)) for verdict, run in groupby(history, key=attrgetter("verdict")))
    return tuple(Segment(verdict, run[0].night, run[-1].night, len(run)) for verdict, run in runs)


def _baseline(verdict: Verdict, info: EnvironmentInfo) -> str:
    """What the plain load says, in one process and without ZeRO-3."""
    if verdict is Verdict.BASELINE_BROKEN:
        return "Baseline: the same model fails in one process without ZeRO-3 too, so ZeRO-3 is not to blame."
    if not verdict.row.measured:
        return f"No baseline: transformers {clip(info.transformers)} could not build the model."
    return "Baseline: the same model loads correctly in one process without ZeRO-3."


def _measured(site: SiteIndex) -> list[Reading]:
    return [reading for reading in site.readings if reading.cases]


PAGE: Final = PageKind(
    address="cases/<environment>/<architecture>.html",
    says="the cases, `#<loader>-<check>`, in other precisions than float32 `#<loader>-<check>-<precision>`: tensors, values, ranks, baseline, command, the last 60 nightly runs",
    place=40,
    build=build,
    each=_measured,
)

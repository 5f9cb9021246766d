"""PURE. Groups everything that went wrong by its cause into upstream failures."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bot.report.statements import find_not_reached
from bot.site.failures.causes import Cause, find_causes
from bot.site.failures.rules import MeasuredPoints, Point, PointSets, describe, explain
from bot.text import Sentence
from matrix.advice.known import Known
from matrix.history.snapshot import Snapshot
from matrix.model import Case, EnvironmentInfo
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class Place:
    """A case that a failure hits."""

    environment: EnvironmentInfo
    case: Case


@dataclass(frozen=True)
class UpstreamFailure:
    """One mistake upstream, with its worst `verdict` and all `places` that it hits. `rule` says where it happens.

    `known` are the entries of known.toml that explain it. `slug` is the same in every nightly run, whatever the failure hits.
    """

    slug: str
    verdict: Verdict
    title: Sentence
    rule: Sentence
    known: tuple[Known, ...]
    places: tuple[Place, ...]


def group_failures(
    snapshot: Snapshot, known: Sequence[Known], families: Mapping[str, str] | None = None
) -> tuple[UpstreamFailure, ...]:
    """Returns the failures of a snapshot: the worst first, then those that hit the most architectures.

    `families` has the catalog's family of each architecture, for rules that are shorter with it.
    """
    sight = _Sight.of(list(_places(snapshot)), families or {})
    hit: dict[str, list[tuple[int, Cause]]] = defaultdict(list)
    for index, place in enumerate(sight.places):
        for cause in find_causes(place.case, place.environment, known):
            hit[cause.slug].append((index, cause))
    return tuple(sorted((_failure(sight, there) for there in hit.values()), key=_rank))


@dataclass(frozen=True)
class _Sight:
    """All places, as rules see them, and the sets of those that `loaded`, and that an exception `ended`."""

    places: Sequence[Place]
    measured: MeasuredPoints
    loaded: int
    ended: int

    @classmethod
    def of(cls, places: Sequence[Place], families: Mapping[str, str]) -> "_Sight":
        measured = MeasuredPoints(_points(places, families))
        loaded = measured.bits(index for index, place in enumerate(places) if _loaded(place.case))
        ended = measured.bits(index for index, place in enumerate(places) if _raised(place.case))
        return cls(places, measured, loaded, ended)

    def seen(self, indices: Iterable[int]) -> PointSets:
        """Returns what is evidence for and against a failure that is at `indices`."""
        failing = self.measured.bits(indices)
        return PointSets(failing, self.loaded & ~failing, self.ended & ~failing)


def _rank(failure: UpstreamFailure) -> tuple[int, int, int, str]:
    architectures = {place.case.architecture for place in failure.places}
    return failure.verdict.rank, -len(architectures), -len(failure.places), failure.slug


def _places(snapshot: Snapshot) -> Iterator[Place]:
    """Every case of the snapshot, without saves that never began."""
    for reading in snapshot.readings:
        cases = [dated.case for dated in reading.cases.values()]
        unreached = find_not_reached(cases)
        yield from (Place(reading.cell.environment, case) for case in cases if case.key not in unreached)


def _points(places: Sequence[Place], families: Mapping[str, str]) -> list[Point]:
    bearing = {_version(place) for place in places if place.case.tensors.buffers}
    return [_point(place, bearing, families) for place in places]


def _version(place: Place) -> tuple[str, str]:
    """What decides which buffers a model has."""
    return place.case.architecture, place.environment.transformers


def _point(place: Place, bearing: set[tuple[str, str]], families: Mapping[str, str]) -> Point:
    environment, case = place.environment, place.case
    return Point(
        transformers=environment.transformers,
        deepspeed=environment.deepspeed,
        device=environment.device,
        loader=case.loader,
        check=case.check,
        precision=case.precision,
        architecture=case.architecture,
        family=families.get(case.architecture, ""),
        buffers=_version(place) in bearing,
    )


def _raised(case: Case) -> bool:
    return case.error is not None and case.verdict.row.measured


def _loaded(case: Case) -> bool:
    """Whether it finished, the same in every run: what is not wrong in it is right."""
    return case.error is None and case.verdict.row.measured and case.verdict is not Verdict.FLAKY


def _failure(sight: _Sight, hit: Sequence[tuple[int, Cause]]) -> UpstreamFailure:
    worst = min((cause for _, cause in hit), key=lambda cause: cause.verdict.rank)
    known = {entry.id: entry for _, cause in hit for entry in cause.known}
    return UpstreamFailure(
        slug=worst.slug,
        verdict=worst.verdict,
        title=worst.title,
        rule=describe(explain(sight.measured, sight.seen(index for index, _ in hit))),
        known=tuple(known[name] for name in sorted(known)),
        places=tuple(sight.places[index] for index, _ in hit),
    )

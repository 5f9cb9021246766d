"""PURE. All data of the site. What several pages look up in it is computed once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, partial
from typing import Any, Final

from bot.report.labels import label_cells
from bot.report.statements import find_not_reached
from bot.site.data.axes import Axis, Crossed, VersionLine, cross, draw_lines, get_version
from bot.site.data.links import link_environment, link_failure
from bot.site.data.publisher import NOBODY, Publisher
from bot.site.data.views import EnvironmentLink, FailureLink
from bot.site.failures.group import UpstreamFailure, group_failures
from bot.text import Code, clip
from matrix.advice.known import Known
from matrix.catalog.lock import Lock
from matrix.checks import DEFAULT, VARIANTS, find_variants
from matrix.history.case_history import NightlyVerdict
from matrix.history.changes import VerdictChange
from matrix.history.queries import NightlyRun
from matrix.history.snapshot import Reading, Snapshot
from matrix.model import CaseKey, Configuration, Device, Precision, Variant
from matrix.versions import sort_versions, version_key


def _find_planned(keys: Iterable[CaseKey]) -> tuple[Variant, ...]:
    """Returns all loaders and checks in what any of the cases was measured in; in float32 where nothing was measured.

    The checks are those that are always made, and what else any of the cases was measured with.
    """
    measured = find_variants(keys)
    trainings = {variant.training for variant in measured} or {_FIRST}
    checks = {*DEFAULT.checks, *(variant.check for variant in measured)}
    return tuple(variant for variant in VARIANTS if variant.training in trainings and variant.check in checks)


_FIRST: Final = (Precision.FLOAT32, Configuration.PLAIN)
CaseHistories = Mapping[CaseKey, tuple[NightlyVerdict, ...]]
"""What each nightly run said of a case, the oldest first."""
CaseHistoriesOf = Callable[[str, Sequence[date]], CaseHistories]
"""Returns the histories of the cases of an environment in some nightly runs."""


def without_history(environment: str, nights: Sequence[date]) -> CaseHistories:  # noqa: ARG001
    """Returns the histories of cases where there is none: the results of one run."""
    return {}


@dataclass(frozen=True)
class SiteIndex:
    """All that the site shows.

    `families` maps architectures to what the catalog says they stand for, `sites` to their buffer sites; `known` is what is
    known of failures upstream. `lock` says what each version of transformers has. `nights`, `recent` (what changed in the
    newest of them), `retracted` and `case_histories` are of the history, if there is one. The feed says who the `publisher` is.
    """

    snapshot: Snapshot
    families: Mapping[str, str] = field(default_factory=dict)
    sites: Mapping[str, Sequence[str]] = field(default_factory=dict)
    known: Sequence[Known] = ()
    nights: tuple[NightlyRun, ...] = ()
    recent: tuple[VerdictChange, ...] = ()
    retracted: int | None = None
    lock: Lock | None = None
    publisher: Publisher = NOBODY
    case_histories: CaseHistoriesOf = without_history

    @cached_property
    def failures(self) -> tuple[UpstreamFailure, ...]:
        """The distinct upstream failures of the snapshot, the worst first."""
        return group_failures(self.snapshot, self.known, self.families)

    @property
    def night(self) -> date | None:
        """The date of the newest nightly run; None before the first one."""
        return self.snapshot.night if self.snapshot.readings else None

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        """Every environment, the newest versions first."""

        def versions(reading: Reading) -> tuple[Any, ...]:
            info = reading.cell.environment
            return version_key(info.transformers), version_key(info.deepspeed), version_key(info.torch), info.id

        return tuple(sorted(self.snapshot.readings, key=versions, reverse=True))

    @cached_property
    def architectures(self) -> tuple[str, ...]:
        """Every architecture that has a case in an environment, sorted by name."""
        found = {key.architecture for reading in self.snapshot.readings for key in reading.cases}
        return tuple(sorted(found, key=lambda name: (name.casefold(), name)))

    @cached_property
    def _variants_of(self) -> Mapping[str, tuple[Variant, ...]]:
        return {reading.cell.environment.id: _find_planned(reading.cases) for reading in self.snapshot.readings}

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """How any environment is measured, in the order in which it is shown."""
        found = {variant for variants in self._variants_of.values() for variant in variants}
        return tuple(variant for variant in VARIANTS if variant in found)

    def variants_of(self, reading: Reading) -> tuple[Variant, ...]:
        """Returns how the environment of `reading` is measured. What it was never measured in is not untested: nobody asked."""
        return self._variants_of[reading.cell.environment.id]

    @cached_property
    def transformers(self) -> tuple[str, ...]:
        """The versions of transformers, the oldest first."""
        return sort_versions(
            get_version(reading.cell.environment, "transformers") for reading in self.snapshot.readings
        )

    @cached_property
    def deepspeeds(self) -> tuple[str, ...]:
        """The versions of deepspeed, the oldest first."""
        return sort_versions(get_version(reading.cell.environment, "deepspeed") for reading in self.snapshot.readings)

    @cached_property
    def positions(self) -> Mapping[str, tuple[int, int]]:
        """Where each environment is on both axes, by its id."""
        infos = [reading.cell.environment for reading in self.snapshot.readings]
        transformers, deepspeeds = (
            {version: place for place, version in enumerate(axis)} for axis in (self.transformers, self.deepspeeds)
        )
        return {
            info.id: (transformers[get_version(info, "transformers")], deepspeeds[get_version(info, "deepspeed")])
            for info in infos
        }

    @cached_property
    def crossed(self) -> Mapping[Device, Crossed]:
        """The environments of each device by both their versions."""
        by_device = {
            device: [one for one in self.readings if one.cell.environment.device is device] for device in self.devices
        }
        return {device: cross(readings) for device, readings in by_device.items()}

    @cached_property
    def neighbours(self) -> Mapping[str, tuple[Reading, ...]]:
        """For each environment, by its id, all of them, the nearest first."""
        return {
            one.cell.environment.id: tuple(sorted(self.readings, key=partial(self._distance, one)))
            for one in self.readings
        }

    def _distance(self, one: Reading, other: Reading) -> tuple[bool, int]:
        """On another device is farthest; then count the steps along both axes."""
        here, there = self.positions[one.cell.environment.id], self.positions[other.cell.environment.id]
        steps = sum(abs(mine - its) for mine, its in zip(here, there, strict=True))
        return one.cell.environment.device != other.cell.environment.device, steps

    @cached_property
    def lines(self) -> Mapping[tuple[Device, Axis], Mapping[str, VersionLine]]:
        """For a device and an axis: the environments along the axis by the other axis's version."""
        return draw_lines(self.readings[::-1])

    @cached_property
    def devices(self) -> tuple[Device, ...]:
        """The devices that were measured on, that with the most cases first."""
        cases = dict.fromkeys(Device, 0)
        for reading in self.snapshot.readings:
            cases[reading.cell.environment.device] += len(reading.cases)
        present = {reading.cell.environment.device for reading in self.snapshot.readings}
        return tuple(sorted(present, key=lambda device: -cases[device]))

    @cached_property
    def environments(self) -> Mapping[str, EnvironmentLink]:
        """The link to each environment, by its id."""
        names = label_cells([reading.cell for reading in self.readings])
        return {
            reading.cell.environment.id: link_environment(reading, label)
            for reading, label in zip(self.readings, names, strict=True)
        }

    @cached_property
    def failures_of(self) -> Mapping[tuple[str, CaseKey], tuple[FailureLink, ...]]:
        """The failures that each case is a place of; a case that never began has those of the one before it."""
        found: dict[tuple[str, CaseKey], tuple[FailureLink, ...]] = {}
        for failure in self.failures:
            link = link_failure(failure)
            for place in failure.places:
                where = place.environment.id, place.case.key
                found[where] = (*found.get(where, ()), link)
        for reading in self.snapshot.readings:
            name = reading.cell.environment.id
            for key, earlier in find_not_reached([dated.case for dated in reading.cases.values()]).items():
                found[name, key] = found.get((name, earlier), ())
        return found

    def of(self, reading: Reading) -> EnvironmentLink:
        """Returns the link to the environment of `reading`."""
        return self.environments[reading.cell.environment.id]

    def family(self, architecture: str) -> Code:
        """Returns the family of an architecture in the catalog; empty where the catalog does not have it."""
        return clip(self.families.get(architecture, ""))

"""PURE. The heat map: by how large a share of the catalog each pair of transformers and deepspeed passes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from bot.site.data import urls
from bot.site.data.links import find_worst
from bot.site.data.site_index import SiteIndex
from bot.site.data.views import EnvironmentLink
from bot.text import Code, clip, count
from bot.verdict_words import describe_trainings, is_absent
from matrix.checks import CHECKS
from matrix.history.snapshot import Reading, Stale
from matrix.model import Check, Device, Loader
from matrix.verdicts import Verdict

Position = tuple[Device, Loader, Check | None]


@dataclass(frozen=True)
class Share:
    """How many of the cases of an environment pass, of all that its versions have: `unsupported` ones are left out of `total`,
    untested ones are not. `percent` is rounded down, so that it is 100 only when all pass; None without any case.
    """

    percent: int | None
    passed: int
    total: int
    untested: int
    unsupported: int
    worst: Verdict | None


@dataclass(frozen=True)
class Square:
    """One environment in a heat map: `measured`, and if it never was, whether that is because it `failed`."""

    environment: EnvironmentLink
    share: Share
    measured: bool
    failed: bool


@dataclass(frozen=True)
class HeatRow:
    """The squares of a transformers version, a tuple of them for each deepspeed of the map; empty where not measured."""

    transformers: Code
    squares: tuple[tuple[Square, ...], ...]


@dataclass(frozen=True)
class Switch:
    """A position of the heat map's switch."""

    name: str
    text: str
    page: str
    on: bool


@dataclass(frozen=True)
class Heat:
    """A heat map: transformers down, deepspeed across, the newest first. `check` is None for all of them."""

    device: Device
    loader: Loader
    check: Check | None
    checks: tuple[Check, ...]
    deepspeeds: tuple[Code, ...]
    rows: tuple[HeatRow, ...]
    precisions: str
    switches: tuple[tuple[Switch, ...], ...]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts whose letters are in the map, the worst first."""
        squares = [square for row in self.rows for place in row.squares for square in place]
        shown = {
            Verdict.ENVIRONMENT if square.failed and not square.measured else square.share.worst for square in squares
        }
        return tuple(verdict for verdict in Verdict if verdict in shown)


def list_positions(site: SiteIndex) -> tuple[Position, ...]:
    """Returns every position of the switch, that of the start page first."""
    checks = list_checks(site)
    return tuple((device, loader, check) for device in site.devices for loader in Loader for check in (None, *checks))


def list_checks(site: SiteIndex) -> tuple[Check, ...]:
    """Returns the checks that have a map: those in which any environment was measured, or should have been."""
    made = {variant.check for variant in site.variants}
    return tuple(check for check in CHECKS if check in made)


def build_heat_map(site: SiteIndex, position: Position) -> Heat:
    """Returns the heat map of one position of the switch."""
    device, loader, check = position
    crossed = site.crossed[device]
    rows = tuple(
        HeatRow(clip(version), tuple(_squares(site, readings, position) for readings in places))
        for version, places in crossed.rows
    )
    return Heat(
        device,
        loader,
        check,
        list_checks(site),
        deepspeeds=tuple(map(clip, crossed.deepspeeds)),
        rows=rows,
        precisions=_describe_precisions(site, device),
        switches=_switches(site, position),
    )


def _describe_precisions(site: SiteIndex, device: Device) -> str:
    """Says in which precisions the environments on a device were measured, and how many in fewer than all."""
    found = [
        trainings
        for reading in site.readings
        if reading.cases and reading.cell.environment.device is device
        for trainings in [frozenset(variant.trained_in for variant in site.variants_of(reading))]
    ]
    every = [variant for variant in site.variants if any(variant.trained_in in one for one in found)]
    fewer = sum(len(one) < len(set().union(*found)) for one in found)
    return describe_trainings(every) + (
        f" ({fewer:,} of {count(len(found), 'environment')} in fewer of them)" if fewer else ""
    )


def count_share(site: SiteIndex, reading: Reading, loader: Loader, check: Check | None = None) -> Share:
    """Returns the share of the catalog that passes in an environment; the catalog is every architecture of the snapshot."""
    wanted = [one for one in site.variants_of(reading) if one.loader is loader and check in (None, one.check)]
    found = Counter(dated.case.verdict for key, dated in reading.cases.items() if key.variant in wanted)
    unsupported = sum(number for verdict, number in found.items() if is_absent(verdict))
    total = len(site.architectures) * len(wanted) - unsupported
    passed = found[Verdict.PASS]
    return Share(
        percent=passed * 100 // total if total else None,
        passed=passed,
        total=total,
        untested=total - (found.total() - unsupported),
        unsupported=unsupported,
        worst=find_worst([verdict for verdict in found if not is_absent(verdict)]),
    )


def _squares(site: SiteIndex, readings: Iterable[Reading], position: Position) -> tuple[Square, ...]:
    _, loader, check = position
    shares = ((reading, count_share(site, reading, loader, check)) for reading in readings)
    return tuple(
        Square(site.of(reading), found, bool(reading.cases), failed=Stale.FAILED in reading.stale)
        for reading, found in shares
    )


def _switches(site: SiteIndex, on: Position) -> tuple[tuple[Switch, ...], ...]:
    """Returns the pages that each switch (loader, check, device) leads to while the others stay the same."""
    device, loader, check = on
    return (
        tuple(_switch("loader", str(one), (device, one, check), on) for one in Loader),
        tuple(_switch("check", str(one or "all"), (device, loader, one), on) for one in (None, *list_checks(site))),
        tuple(_switch("device", str(one), (one, loader, check), on) for one in site.devices),
    )


def _switch(name: str, text: str, to: Position, on: Position) -> Switch:
    return Switch(name, text, urls.heat(*to), to == on)

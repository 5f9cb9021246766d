"""PURE. The heat map: by how large a share of the catalog each pair of transformers and deepspeed passes."""

from collections import Counter
from collections.abc import Iterable, Iterator

from bot.site.data import urls as links
from bot.site.data.index import Atlas, worst
from bot.site.data.page_types import HeatPage
from bot.site.data.views import Heat, HeatRow, Share, Square, Switch
from bot.text import clip
from matrix.history.snapshot import Reading, Stale
from matrix.model import Check, Device, Loader
from matrix.verdicts import Verdict

Position = tuple[Device, Loader, Check | None]
CHECKS: tuple[Check | None, ...] = (None, *Check)


def positions(atlas: Atlas) -> tuple[Position, ...]:
    """Every position of the switch, that of the start page first."""
    return tuple((device, loader, check) for device in atlas.devices for loader in Loader for check in CHECKS)


def heat_pages(atlas: Atlas) -> Iterator[HeatPage]:
    """A page for each position of the switch."""
    for position in positions(atlas):
        device, loader, check = position
        title = f"Share of the catalog that passes: {check or 'load and save'}, {loader} loader, {device}"
        yield HeatPage(
            path=links.heat(*position), title=title, crumbs=(), night=atlas.night, heat=heat(atlas, position)
        )


def heat(atlas: Atlas, position: Position) -> Heat:
    """The heat map of one position of the switch."""
    device, loader, check = position
    crossed = atlas.crossed[device]
    rows = tuple(
        HeatRow(clip(version), tuple(_squares(atlas, readings, position) for readings in places))
        for version, places in crossed.rows
    )
    return Heat(device, loader, check, tuple(map(clip, crossed.deepspeeds)), rows, _switches(atlas, position))


def share(atlas: Atlas, reading: Reading, loader: Loader, check: Check | None = None) -> Share:
    """The share of the catalog that passes in an environment; the catalog is every architecture of the board."""
    wanted = [check] if check else list(Check)
    found = Counter(
        dated.case.verdict for key, dated in reading.cases.items() if key.loader is loader and key.check in wanted
    )
    unsupported, tested = found[Verdict.UNSUPPORTED], found.total()
    total = len(atlas.architectures) * len(wanted) - unsupported
    passed = found[Verdict.PASS]
    return Share(
        percent=passed * 100 // total if total else None,
        passed=passed,
        total=total,
        untested=total - (tested - unsupported),
        unsupported=unsupported,
        worst=worst([verdict for verdict in found if verdict is not Verdict.UNSUPPORTED]),
    )


def _squares(atlas: Atlas, readings: Iterable[Reading], position: Position) -> tuple[Square, ...]:
    _, loader, check = position
    shares = ((reading, share(atlas, reading, loader, check)) for reading in readings)
    return tuple(
        Square(atlas.of(reading), found, bool(reading.cases), failed=Stale.FAILED in reading.stale)
        for reading, found in shares
    )


def _switches(atlas: Atlas, on: Position) -> tuple[tuple[Switch, ...], ...]:
    """What each switch leads to with the others left as they are: loader, check, device."""
    device, loader, check = on
    return (
        tuple(_switch("loader", str(one), (device, one, check), on) for one in Loader),
        tuple(_switch("check", str(one or "all"), (device, loader, one), on) for one in CHECKS),
        tuple(_switch("device", str(one), (one, loader, check), on) for one in atlas.devices),
    )


def _switch(name: str, text: str, to: Position, on: Position) -> Switch:
    return Switch(name, text, links.heat(*to), to == on)

"""PURE. Environments by their versions of transformers and deepspeed: crossed in a table, and along one of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bot.site.data import urls
from bot.text import Code, clip
from matrix.history.snapshot import Reading
from matrix.model import Device, EnvironmentInfo
from matrix.versions import sort_versions

Axis = Literal["transformers", "deepspeed"]
OTHER: Final[Mapping[Axis, Axis]] = {"transformers": "deepspeed", "deepspeed": "transformers"}


def get_version(info: EnvironmentInfo, axis: Axis) -> str:
    """Returns the version of a package, the axis, in an environment; `?` where the environment did not report one."""
    return getattr(info, axis) or "?"


@dataclass(frozen=True)
class Crossed:
    """Environments in a table, the newest first: a row per transformers version, in it the places for each deepspeed."""

    deepspeeds: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[Reading, ...], ...]], ...]


@dataclass(frozen=True)
class VersionLine:
    """Environments along an axis, the oldest first, and for each of them its version there and its page."""

    readings: tuple[Reading, ...]
    stops: tuple[tuple[Code, str], ...]

    @classmethod
    def of(cls, readings: Sequence[Reading], axis: Axis) -> "VersionLine":
        """Returns the line through `readings`."""
        infos = [reading.cell.environment for reading in readings]
        return cls(tuple(readings), tuple((clip(get_version(info, axis)), urls.environment(info.id)) for info in infos))


def cross(readings: Iterable[Reading]) -> Crossed:
    """Returns a table of `readings`, which are sorted."""
    places: dict[tuple[str, str], list[Reading]] = defaultdict(list)
    for reading in readings:
        info = reading.cell.environment
        places[get_version(info, "transformers"), get_version(info, "deepspeed")].append(reading)
    downwards, across = (sort_versions(pair[axis] for pair in places)[::-1] for axis in (0, 1))
    rows = ((down, tuple(tuple(places.get((down, right), ())) for right in across)) for down in downwards)
    return Crossed(across, tuple(rows))


def draw_lines(readings: Iterable[Reading]) -> Mapping[tuple[Device, Axis], Mapping[str, VersionLine]]:
    """Returns the lines of `readings`, the oldest first, along each axis on each device, by the version on the other axis."""
    found: dict[tuple[Device, Axis], dict[str, list[Reading]]] = defaultdict(lambda: defaultdict(list))
    for reading in readings:
        info = reading.cell.environment
        for axis, other in OTHER.items():
            found[info.device, axis][get_version(info, other)].append(reading)
    return {
        (device, axis): {other: VersionLine.of(through, axis) for other, through in lines.items()}
        for (device, axis), lines in found.items()
    }

"""Which pairs of versions are safe for an architecture, as far as was measured; what was not is never called safe.

PURE: no input or output.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from packaging.version import Version

from matrix.advice.safety import Answer, Tried, answer_pairs, mark_aged
from matrix.environments.packages import CROSSED
from matrix.model import Device, Loader, Precision
from matrix.versions import is_release, parse_version, version_key

FRESH: Final = 2
"""Days after which the age of the newest results is reported: every night brings some."""


@dataclass(frozen=True)
class Age:
    """How old the results are: `night` is the newest with any, `today` the day of the question."""

    night: date
    today: date

    @property
    def days(self) -> int:
        """How many days ago the night was."""
        return (self.today - self.night).days

    @property
    def late(self) -> bool:
        """Whether newer nightly runs are missing."""
        return self.days > FRESH


@dataclass(frozen=True)
class Ask:
    """What is asked for; an empty version, no device and no precision stand for any."""

    transformers: str = ""
    deepspeed: str = ""
    device: Device | None = None
    loader: Loader = Loader.STOCK
    precision: Precision | None = None

    @property
    def pinned(self) -> bool:
        """Whether a version is asked for."""
        return bool(self.transformers or self.deepspeed)

    def fits(self, tried: Tried) -> bool:
        """Returns whether `tried` has the versions that are asked for."""
        pairs = ((self.transformers, tried.transformers), (self.deepspeed, tried.deepspeed))
        return all(not wanted or version_key(wanted) == version_key(found) for wanted, found in pairs)


@dataclass(frozen=True)
class Advice:
    """The `answer`; `asked` is what was measured of the versions asked for, `safe` what to use, the best first."""

    architecture: str
    ask: Ask
    answer: Answer
    asked: tuple[Tried, ...]
    safe: tuple[Tried, ...]
    measured: int
    age: Age


def advise(architecture: str, tried: Iterable[Tried], ask: Ask, age: Age) -> Advice:
    """Returns what to use for an architecture, of all that was `tried` with it. Nothing that is too old `today` is safe.

    Without pins the newest safe pairs come first; with pins the safe ones among those asked for, else the nearest.
    A pair that is unsafe, or not known, on one device that was asked about is not safe on another.
    """
    found = [replace(one, only=ask.precision) for one in mark_aged(tried, age.today)]
    known = [one for one in found if ask.device in (None, one.device)]
    asked = [one for one in known if ask.fits(one)]
    known_answers = answer_pairs(known, ask.loader)
    sound = [one for one in known if known_answers[one.pair] is Answer.SAFE]
    good = [one for one in asked if one in sound]
    wrong = any(known_answers[one.pair] is Answer.UNSAFE for one in asked)
    answer = Answer.SAFE if good else Answer.UNSAFE if wrong else Answer.UNKNOWN
    return Advice(
        architecture,
        ask,
        answer,
        asked=_sorted(asked, ask, known) if ask.pinned else (),
        safe=_sorted([one for one in good or sound if all(map(is_release, one.pair))], ask, known),
        measured=len([one for one in known if one.has_verdicts]),
        age=age,
    )


def format_constraints(tried: Tried, others: Mapping[str, str]) -> Iterator[str]:
    """Yields the lines of a pip constraints file: the pair, and `others`, packages with the versions they were measured with.

    Only releases are pinned: a build's local part, as in 2.13.0+cpu, is on no index.
    """
    pins = {**{name: str(vars(tried)[name]) for name in CROSSED}, **others}
    for name, pin in pins.items():
        if (version := parse_version(pin)) and not version.is_devrelease:
            yield f"{name}=={version.public}"


def _sorted(found: Iterable[Tried], ask: Ask, known: Sequence[Tried]) -> tuple[Tried, ...]:
    """Sorts the nearest to what is asked for first, in steps along the measured versions of both axes, then the newest."""
    axes = {name: _axis([ask, *known], name) for name in CROSSED}

    def steps(one: Tried) -> int:
        return sum(
            abs(axis.index(version_key(getattr(one, name))) - axis.index(version_key(getattr(ask, name))))
            for name, axis in axes.items()
            if getattr(ask, name)
        )

    newest = sorted(found, key=lambda one: (version_key(one.transformers), version_key(one.deepspeed)), reverse=True)
    return tuple(sorted(newest, key=steps))


def _axis(known: Iterable[Ask | Tried], name: str) -> list[tuple[bool, Version, str]]:
    return sorted({version_key(getattr(one, name)) for one in known if getattr(one, name)})

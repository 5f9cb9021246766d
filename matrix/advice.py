"""PURE. Which pairs of versions are safe for an architecture, as far as was measured; what was not is never called safe."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from packaging.version import InvalidVersion, Version

from matrix.errors import INFRASTRUCTURE
from matrix.model import Check, Device, Loader, Verdict

RACE: Final = 5
"""Percent of flaky cases from which on a pass may be luck. Where deepspeed had a race, a fifth was; without one, none."""


class Answer(StrEnum):
    """What is known of what was asked for."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    UNKNOWN = "unknown"

    @property
    def exit_code(self) -> int:
        """0 for safe, 1 for unsafe, 3 where nothing is known."""
        return {Answer.SAFE: 0, Answer.UNSAFE: 1, Answer.UNKNOWN: INFRASTRUCTURE}[self]


@dataclass(frozen=True)
class Tried:
    """An architecture in an environment, as last measured in `night`. `stale`: that may not be so any more.

    `flaky` is how many percent of all cases of the environment, whatever the architecture, are flaky.
    """

    environment: str
    transformers: str
    deepspeed: str
    device: Device
    night: date
    verdicts: Mapping[tuple[Loader, Check], Verdict]
    stale: bool = False
    flaky: int = 0

    @property
    def racy(self) -> bool:
        """Whether a pass may be luck: the other loader is flaky here, or so many models are that it is the loading itself."""
        return self.flaky >= RACE or Verdict.FLAKY in self.verdicts.values()

    def answer(self, loader: Loader) -> Answer:
        """Safe when every check was measured with `loader` and passed lately, not by luck; unsafe when one did not pass."""
        told = [self.verdicts.get((loader, check)) for check in Check]
        if any(verdict not in (None, Verdict.PASS, Verdict.ENVIRONMENT) for verdict in told):
            return Answer.UNSAFE
        passed = all(verdict is Verdict.PASS for verdict in told)
        return Answer.SAFE if passed and not self.racy and not self.stale else Answer.UNKNOWN

    @property
    def installable(self) -> bool:
        """Whether both versions are releases, which an index has."""
        return all(released(pin) for pin in (self.transformers, self.deepspeed))


@dataclass(frozen=True)
class Ask:
    """What is asked for; an empty version, and no device, stand for any."""

    transformers: str = ""
    deepspeed: str = ""
    device: Device | None = None
    loader: Loader = Loader.STOCK

    @property
    def pinned(self) -> bool:
        """Whether a version is asked for."""
        return bool(self.transformers or self.deepspeed)

    def fits(self, tried: Tried) -> bool:
        """Whether `tried` has the versions that are asked for."""
        pairs = ((self.transformers, tried.transformers), (self.deepspeed, tried.deepspeed))
        return all(not wanted or _key(wanted) == _key(found) for wanted, found in pairs)


@dataclass(frozen=True)
class Advice:
    """The `answer`; `asked` is what was measured of the versions asked for, `safe` what to use, the best first."""

    architecture: str
    ask: Ask
    answer: Answer
    asked: tuple[Tried, ...]
    safe: tuple[Tried, ...]
    measured: int


def advise(architecture: str, tried: Iterable[Tried], ask: Ask) -> Advice:
    """What to use for an architecture, of all that was `tried` with it.

    Without pins the newest safe pairs come first; with pins the safe ones among those asked for, else the nearest.
    A pair that is unsafe on one device that was asked about is not safe on another: who installs it may have either.
    """
    known = [one for one in tried if ask.device in (None, one.device)]
    asked = [one for one in known if ask.fits(one)]
    unsafe = {(one.transformers, one.deepspeed) for one in known if one.answer(ask.loader) is Answer.UNSAFE}
    sound = [one for one in known if one.answer(ask.loader) is Answer.SAFE]
    sound = [one for one in sound if (one.transformers, one.deepspeed) not in unsafe]
    good = [one for one in asked if one in sound]
    wrong = any(one.answer(ask.loader) is Answer.UNSAFE for one in asked)
    answer = Answer.SAFE if good else Answer.UNSAFE if wrong else Answer.UNKNOWN
    good = good or sound
    return Advice(
        architecture,
        ask,
        answer,
        asked=_sorted(asked, ask, known) if ask.pinned else (),
        safe=_sorted([one for one in good if one.installable], ask, known),
        measured=len(known),
    )


def flaky_percent(verdicts: Collection[Verdict]) -> int:
    """How many percent of `verdicts` are flaky, rounded down."""
    return 100 * sum(verdict is Verdict.FLAKY for verdict in verdicts) // max(1, len(verdicts))


def constraints(tried: Tried, others: Mapping[str, str]) -> Iterator[str]:
    """Lines of a pip constraints file: the pair, and `others`, packages with the versions they were measured with.

    Only releases are pinned: a build's local part, as in 2.13.0+cpu, is on no index.
    """
    pins = {"transformers": tried.transformers, "deepspeed": tried.deepspeed, **others}
    for name, pin in pins.items():
        if (version := _version(pin)) and not version.is_devrelease:
            yield f"{name}=={version.public}"


def _sorted(found: Iterable[Tried], ask: Ask, known: Sequence[Tried]) -> tuple[Tried, ...]:
    """The nearest to what is asked for first, in steps along the measured versions of both axes, then the newest."""
    axes = {name: _axis([ask, *known], name) for name in ("transformers", "deepspeed")}

    def steps(one: Tried) -> int:
        return sum(
            abs(axis.index(_key(getattr(one, name))) - axis.index(_key(getattr(ask, name))))
            for name, axis in axes.items()
            if getattr(ask, name)
        )

    newest = sorted(found, key=lambda one: (_key(one.transformers), _key(one.deepspeed)), reverse=True)
    return tuple(sorted(newest, key=steps))


def _axis(known: Iterable[Ask | Tried], name: str) -> list[tuple[int, Version, str]]:
    return sorted({_key(getattr(one, name)) for one in known if getattr(one, name)})


def _key(pin: str) -> tuple[int, Version, str]:
    """Sorts versions; what is no version comes first, as text."""
    version = _version(pin)
    return (1, version, "") if version else (0, Version("0"), pin)


def _version(pin: str) -> Version | None:
    try:
        return Version(pin)
    except InvalidVersion:
        return None


def released(pin: str) -> bool:
    """Whether `pin` is a version that an index has: no development version, and without a build's local part."""
    version = _version(pin)
    return version is not None and not version.is_devrelease and version.local is None

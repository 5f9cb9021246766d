"""The one rule for what is safe: advice, the pages, the answer box and the badges all ask here.

PURE: no input or output.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Final

from matrix.advice.known import Known, find_known
from matrix.checks import NEEDED_FOR_SAFE, VARIANTS
from matrix.errors import INFRASTRUCTURE
from matrix.history.snapshot import Pair, Reading, is_too_old
from matrix.model import Check, Configuration, Device, Loader, Precision, Variant
from matrix.verdicts import Verdict

RACE: Final = 5
"""Percent of flaky cases from which on a pass may be luck. Where deepspeed had a race, a fifth was; without one, none."""

Training = tuple[Precision, Configuration]
"""What a model is trained in, and with what besides."""


class Answer(StrEnum):
    """The answer to whether versions are safe."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    UNKNOWN = "unknown"

    @property
    def exit_code(self) -> int:
        """0 for safe, 1 for unsafe, 3 where nothing is known."""
        return {Answer.SAFE: 0, Answer.UNSAFE: 1, Answer.UNKNOWN: INFRASTRUCTURE}[self]


def is_left_out(check: Check, verdict: Verdict) -> bool:
    """Returns whether the answer does without a check: it does not apply to the model, or fails without ZeRO-3 too.

    Not without those that safe needs.
    """
    return check not in NEEDED_FOR_SAFE and verdict in (Verdict.UNSUPPORTED, Verdict.BASELINE_BROKEN)


@dataclass(frozen=True)
class Tried:
    """An architecture in an environment, as last measured in `night`, on its device. `stale`: it may be out of date.

    Without `verdicts` the measurement failed. `flaky` is how many percent of all cases of the environment, whatever
    the architecture, are flaky.
    """

    environment: str
    transformers: str
    deepspeed: str
    device: Device
    night: date
    verdicts: Mapping[Variant, Verdict]
    stale: bool = False
    flaky: int = 0
    only: Precision | None = None
    """The precision that is asked about; None for all."""
    known: tuple[Known, ...] = ()
    """What is known upstream of what the stock loader did wrong."""

    @property
    def pair(self) -> Pair:
        """The versions that a user pins."""
        return self.transformers, self.deepspeed

    @property
    def counts(self) -> bool:
        """Whether it was tried: a whole measurement that left the architecture out did not try it, one that failed did."""
        return bool(self.verdicts) or self.stale

    @property
    def racy(self) -> bool:
        """Whether a pass may be luck: the other loader is flaky here, or so many models are that loading itself must be."""
        return self.flaky >= RACE or Verdict.FLAKY in self.verdicts.values()

    @property
    def has_verdicts(self) -> bool:
        """Whether a case of what is asked about was measured, with any loader."""
        return any(self.only in (None, variant.precision) for variant in self.verdicts)

    def measured(self, loader: Loader) -> Mapping[Variant, Verdict]:
        """Returns the verdict of each case that was measured with `loader`, and that its device can do."""
        asked = (variant for variant in self.verdicts if self.only in (None, variant.precision))
        return {
            variant: self.verdicts[variant]
            for variant in asked
            if variant.loader is loader and not self._is_impossible(variant)
        }

    def _is_impossible(self, variant: Variant) -> bool:
        """Returns whether only the precision cannot be had: what is unsupported in float32 too is a class that is not there."""
        first = Variant(variant.loader, variant.check)
        unsupported = [one for one in (variant, first) if self.verdicts.get(one) is Verdict.UNSUPPORTED]
        return unsupported == [variant] and variant != first

    def by_training(self, loader: Loader) -> Mapping[Training, Mapping[Check, Verdict]]:
        """Returns the verdict of each check that was measured with `loader`, for each precision and configuration.

        Those that are left out are not there.
        """
        found: dict[Training, dict[Check, Verdict]] = {}
        for variant, verdict in sorted(self.measured(loader).items(), key=lambda item: VARIANTS.index(item[0])):
            if not is_left_out(variant.check, verdict):
                found.setdefault((variant.precision, variant.configuration), {})[variant.check] = verdict
        return found

    def judge(self, verdicts: Mapping[Check, Verdict]) -> Answer:
        """Returns safe when the checks passed, lately and reproducibly; unsafe when one did not pass, however old."""
        if any(verdict not in (Verdict.PASS, Verdict.ENVIRONMENT) for verdict in verdicts.values()):
            return Answer.UNSAFE
        return Answer.SAFE if _all_passed(verdicts) and not self.racy and not self.stale else Answer.UNKNOWN

    def answers(self, loader: Loader) -> Mapping[Precision, Answer]:
        """Returns the answer in each precision that was measured with `loader`.

        A configuration besides the plain one has no part in it: what it asks for is not what safe promises.
        """
        found = self.by_training(loader).items()
        return {precision: self.judge(verdicts) for (precision, one), verdicts in found if one is Configuration.PLAIN}

    def precisions(self, loader: Loader) -> tuple[Precision, ...]:
        """Returns the precisions in which it is safe with `loader`: what a safe answer rests on."""
        return tuple(precision for precision, answer in self.answers(loader).items() if answer is Answer.SAFE)

    def passed(self, loader: Loader) -> bool:
        """Returns whether every check that safe needs was measured in a precision, and all that were measured passed."""
        plain = [verdicts for (_, one), verdicts in self.by_training(loader).items() if one is Configuration.PLAIN]
        right = all(verdict is Verdict.PASS for verdicts in plain for verdict in verdicts.values())
        return right and any(map(_all_passed, plain))

    def answer(self, loader: Loader) -> Answer:
        """Returns unsafe where one precision is, safe where one is known to be, and never more than was measured."""
        answers = self.answers(loader).values()
        return next((answer for answer in (Answer.UNSAFE, Answer.SAFE) if answer in answers), Answer.UNKNOWN)


def _all_passed(verdicts: Mapping[Check, Verdict]) -> bool:
    return verdicts.keys() >= NEEDED_FOR_SAFE and set(verdicts.values()) == {Verdict.PASS}


def explain_stock(reading: Reading, architecture: str, known: Iterable[Known]) -> tuple[Known, ...]:
    """Returns the entries of `known` that explain what the stock loader did wrong with an architecture."""
    keys = [key for key in reading.keys_of.get(architecture, ()) if key.loader is Loader.STOCK]
    return find_known(known, [reading.cases[key].case for key in keys], reading.cell.environment)


def find_tried(readings: Iterable[Reading], architecture: str) -> tuple[Tried, ...]:
    """Returns where an architecture was tried, in the order of `readings`."""
    found = (_tried(reading, architecture) for reading in readings)
    return tuple(one for one in found if one.counts)


def _tried(reading: Reading, architecture: str) -> Tried:
    info = reading.cell.environment
    keys = reading.keys_of.get(architecture, ())
    return Tried(
        info.id,
        info.transformers,
        info.deepspeed,
        info.device,
        reading.night,
        verdicts={key.variant: reading.cases[key].case.verdict for key in keys},
        stale=bool(reading.stale),
        flaky=reading.flaky,
    )


def mark_aged(tried: Iterable[Tried], today: date) -> tuple[Tried, ...]:
    """Returns what was `tried`, marked as stale where it was measured too long before `today`."""
    return tuple(replace(one, stale=one.stale or is_too_old(one.night, today)) for one in tried)


def combine_answers(tried: Iterable[Tried], loader: Loader) -> Answer:
    """Returns unsafe where one of `tried` is, safe where each is, else unknown."""
    answers = {one.answer(loader) for one in tried}
    if Answer.UNSAFE in answers:
        return Answer.UNSAFE
    return Answer.SAFE if answers == {Answer.SAFE} else Answer.UNKNOWN


def answer_pairs(tried: Iterable[Tried], loader: Loader) -> Mapping[Pair, Answer]:
    """Returns the answer for each pair of versions, from every device that it was tried on: a user may have any of them."""
    pairs: dict[Pair, list[Tried]] = defaultdict(list)
    for one in tried:
        pairs[one.pair].append(one)
    return {pair: combine_answers(found, loader) for pair, found in pairs.items()}

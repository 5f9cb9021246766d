"""PURE. What the answer box knows, small enough to be inside the start page."""

import string
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from bot.site.data import urls
from bot.site.data.links import get_verdict, link_failure
from bot.site.data.site_index import SiteIndex
from bot.site.data.views import VERDICTS, FailureLink, VerdictEntry, Words
from bot.text import Code, clip
from matrix.advice.safety import Answer, find_tried
from matrix.advice.safety import answer_pairs as answers_of
from matrix.checks import case_keys
from matrix.history.snapshot import Reading
from matrix.model import CaseKey, Device, Loader
from matrix.verdicts import Verdict

UNTESTED: Final = "."
UNASKED: Final = "-"
_DIGITS: Final = string.digits + string.ascii_lowercase
UNEXPLAINED: Final = -1
_LETTERS: Final = {Answer.SAFE: "s", Answer.UNSAFE: "u", Answer.UNKNOWN: "?"}


@dataclass(frozen=True)
class AnswerEnvironment:
    """An environment for the answer box. `verdicts` has a digit of base 36 per case, the verdict's place in `Answers.verdicts`, or `.`
    where it is untested, or `-` where nothing in this environment was measured in that precision: architectures in their
    order, every case of each (`Answers.cases`). `why` has, for each digit of a
    verdict with wrong values, in their order, the place of its failure in `Answers.failures`, or -1.

    `answers` has two letters per architecture, stock then fixed loader: `s` safe, `u` unsafe, `?` not known. They are of its
    pair of versions in every environment on its device, as of the newest nightly run. `flaky` is how many percent of all its cases
    are flaky, rounded down.
    """

    id: Code
    label: Code
    slug: str
    transformers: Code
    deepspeed: Code
    device: Device
    night: date
    stale: tuple[Words, ...]
    verdicts: str
    answers: str
    flaky: int
    why: tuple[int, ...]


@dataclass(frozen=True)
class AnswerArchitecture:
    """An architecture that may be asked for."""

    id: Code
    slug: str


@dataclass(frozen=True)
class Answers:
    """All that the answer box knows. `transformers` and `deepspeeds` are the measured versions, the oldest first."""

    cases: tuple[str, ...]
    verdicts: tuple[VerdictEntry, ...]
    devices: tuple[Device, ...]
    transformers: tuple[Code, ...]
    deepspeeds: tuple[Code, ...]
    architectures: tuple[AnswerArchitecture, ...]
    environments: tuple[AnswerEnvironment, ...]
    failures: tuple[FailureLink, ...]


def build_answers(site: SiteIndex) -> Answers:
    """Returns every verdict, with the failure that explains it."""
    numbers = {urls.finding(failure.slug): number for number, failure in enumerate(site.failures)}
    letters = _letters(site)
    return Answers(
        cases=tuple(map(str, site.variants)),
        verdicts=VERDICTS,
        devices=site.devices,
        transformers=tuple(clip(version or "?") for version in site.transformers),
        deepspeeds=tuple(clip(version or "?") for version in site.deepspeeds),
        architectures=tuple(AnswerArchitecture(clip(name), urls.slug(name)) for name in site.architectures),
        environments=tuple(_environment(site, reading, numbers, letters) for reading in site.readings),
        failures=tuple(link_failure(failure) for failure in site.failures),
    )


def _environment(
    site: SiteIndex, reading: Reading, numbers: dict[str, int], letters: Mapping[str, str]
) -> AnswerEnvironment:
    link, name = site.of(reading), reading.cell.environment.id
    asked = frozenset(site.variants_of(reading))
    keys = [key for architecture in site.architectures for key in case_keys(architecture, site.variants)]
    return AnswerEnvironment(
        id=link.id,
        label=link.label,
        slug=urls.slug(name),
        transformers=link.transformers,
        deepspeed=link.deepspeed,
        device=link.device,
        night=link.night,
        stale=link.stale,
        verdicts="".join(_digit(get_verdict(reading, key), key.variant in asked) for key in keys),
        answers=letters.get(name, ""),
        flaky=reading.flaky,
        why=tuple(_why(site, reading, keys, numbers)),
    )


def _letters(site: SiteIndex) -> Mapping[str, str]:
    """What is known of every architecture with every loader, by the environment: as advice for its device has it."""
    found: dict[str, str] = defaultdict(str)
    for architecture in site.architectures:
        tried = find_tried(site.readings, architecture)
        for device in site.devices:
            there = [one for one in tried if one.device is device]
            known = [answers_of(there, loader) for loader in Loader]
            for reading in site.readings:
                if reading.cell.environment.device is device:
                    letters = (_LETTERS[answer.get(reading.pair, Answer.UNKNOWN)] for answer in known)
                    found[reading.cell.environment.id] += "".join(letters)
    return found


def _digit(verdict: Verdict | None, asked: bool) -> str:  # noqa: FBT001 - it is called for every case
    return _DIGITS[verdict.rank] if verdict else UNTESTED if asked else UNASKED


def _why(site: SiteIndex, reading: Reading, keys: list[CaseKey], numbers: dict[str, int]) -> Iterator[int]:
    for key in keys:
        verdict = get_verdict(reading, key)
        if verdict and verdict.wrong_values:
            failures = site.failures_of.get((reading.cell.environment.id, key), ())
            yield numbers[failures[0].page] if failures else UNEXPLAINED

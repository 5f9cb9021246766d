"""PURE. What the answer box knows, small enough to be inside the start page."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from bot.site.data import urls as links
from bot.site.data.index import Atlas, failure_link, verdict_of
from bot.site.data.views_answers import AnswerArchitecture, AnswerEnvironment, Answers, AnswerVerdict
from bot.text import clip
from bot.verdict_words import VERDICTS
from matrix.advice.safety import Answer, tried_in
from matrix.advice.safety import answers as answers_of
from matrix.history.snapshot import Reading
from matrix.model import KINDS, CaseKey, Loader, keys_of
from matrix.verdicts import Verdict

UNTESTED: Final = "."
UNEXPLAINED: Final = -1
_LETTERS: Final = {Answer.SAFE: "s", Answer.UNSAFE: "u", Answer.UNKNOWN: "?"}


def answers(atlas: Atlas) -> Answers:
    """Every verdict of the board, with the failure that explains it."""
    numbers = {links.finding(failure.slug): number for number, failure in enumerate(atlas.failures)}
    letters = _letters(atlas)
    return Answers(
        cases=tuple(f"{loader} {check}" for loader, check in KINDS),
        verdicts=tuple(
            AnswerVerdict(verdict, VERDICTS[verdict].word, VERDICTS[verdict].meaning, verdict.wrong_values)
            for verdict in Verdict
        ),
        devices=atlas.devices,
        transformers=tuple(clip(version or "?") for version in atlas.transformers),
        deepspeeds=tuple(clip(version or "?") for version in atlas.deepspeeds),
        architectures=tuple(AnswerArchitecture(clip(name), links.slug(name)) for name in atlas.architectures),
        environments=tuple(_environment(atlas, reading, numbers, letters) for reading in atlas.readings),
        failures=tuple(failure_link(failure) for failure in atlas.failures),
    )


def _environment(
    atlas: Atlas, reading: Reading, numbers: dict[str, int], letters: Mapping[str, str]
) -> AnswerEnvironment:
    link, name = atlas.of(reading), reading.cell.environment.id
    keys = [key for architecture in atlas.architectures for key in keys_of(architecture)]
    return AnswerEnvironment(
        id=link.id,
        label=link.label,
        slug=links.slug(name),
        transformers=link.transformers,
        deepspeed=link.deepspeed,
        device=link.device,
        night=link.night,
        stale=link.stale,
        verdicts="".join(_digit(verdict_of(reading, key)) for key in keys),
        answers=letters.get(name, ""),
        flaky=reading.flaky,
        why=tuple(_why(atlas, reading, keys, numbers)),
    )


def _letters(atlas: Atlas) -> Mapping[str, str]:
    """What is known of every architecture with every loader, by the environment: as advice for its device has it."""
    found: dict[str, str] = defaultdict(str)
    for architecture in atlas.architectures:
        tried = tried_in(atlas.readings, architecture)
        for device in atlas.devices:
            there = [one for one in tried if one.device is device]
            told = [answers_of(there, loader) for loader in Loader]
            for reading in atlas.readings:
                if reading.cell.environment.device is device:
                    letters = (_LETTERS[answer.get(reading.pair, Answer.UNKNOWN)] for answer in told)
                    found[reading.cell.environment.id] += "".join(letters)
    return found


def _digit(verdict: Verdict | None) -> str:
    return str(verdict.rank) if verdict else UNTESTED


def _why(atlas: Atlas, reading: Reading, keys: list[CaseKey], numbers: dict[str, int]) -> Iterator[int]:
    for key in keys:
        verdict = verdict_of(reading, key)
        if verdict and verdict.wrong_values:
            failures = atlas.failures_of.get((reading.cell.environment.id, key), ())
            yield numbers[failures[0].page] if failures else UNEXPLAINED

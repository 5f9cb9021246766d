"""Describes what is safe, in what, and what that rests on.

PURE: no input or output.
"""

from collections.abc import Mapping
from typing import Final

from matrix.advice.safety import Answer, Tried
from matrix.checks import CHECKS, NEEDED_FOR_SAFE
from matrix.model import Check, Configuration, Loader
from matrix.text import join_words
from matrix.verdicts import Verdict

_ANSWERS: Final = {Answer.UNSAFE: "not safe", Answer.SAFE: "safe", Answer.UNKNOWN: "unknown"}
"""What is worst comes first."""


def describe_answers(tried: Tried, loader: Loader) -> str:
    """Describes the answer in each precision and what it rests on: `not safe in bf16: load narrowed, save pass; safe in ...`."""
    found: dict[tuple[Answer, str], list[str]] = {}
    for (precision, configuration), verdicts in tried.by_training(loader).items():
        answer = tried.judge(verdicts)
        name = precision if configuration is Configuration.PLAIN else f"{precision} {configuration}"
        found.setdefault((answer, _checks(answer, verdicts)), []).append(name)
    parts = [(answer, join_words(sorted(names)), checks) for (answer, checks), names in found.items()]
    return "; ".join(
        f"{word} in {names}: {checks}"
        for worst, word in _ANSWERS.items()
        for answer, names, checks in parts
        if answer is worst
    )


def _checks(answer: Answer, verdicts: Mapping[Check, Verdict]) -> str:
    if answer is Answer.SAFE:
        return ", ".join(verdicts)
    told = {**dict.fromkeys(check for check in CHECKS if check in NEEDED_FOR_SAFE), **verdicts}
    return ", ".join(f"{check} {_word(verdict)}" for check, verdict in told.items())


def _word(verdict: Verdict | None) -> str:
    return verdict.replace("_", " ") if verdict else "not tested"

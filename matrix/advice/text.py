"""Formats advice as lines for a terminal and as values for programs.

PURE: no input or output.
"""

from collections.abc import Iterator
from typing import Any, Final

from matrix.advice.advice import Advice, Age, Ask
from matrix.advice.fixed_loader import FIXED_LOADER
from matrix.advice.safety import Answer, Tried, answer_pairs
from matrix.history.snapshot import TRUSTED, is_too_old
from matrix.model import Loader
from matrix.text import make_printable

SHOWN: Final = 5
"""How many pairs of a kind are printed; programs get all."""


def advice_values(advice: Advice) -> dict[str, Any]:
    """Returns all of the advice, for `--json`."""
    ask = advice.ask
    return {
        "architecture": advice.architecture,
        "transformers": ask.transformers or None,
        "deepspeed": ask.deepspeed or None,
        "device": ask.device,
        "loader": ask.loader,
        "answer": advice.answer,
        "night": advice.age.night.isoformat(),
        "days": advice.age.days,
        "asked": [_values(tried) for tried in advice.asked],
        "safe": [_values(tried) for tried in advice.safe],
    }


def _values(tried: Tried) -> dict[str, Any]:
    verdicts = {variant.slug: verdict for variant, verdict in tried.verdicts.items()}
    return {**vars(tried), "night": tried.night.isoformat(), "verdicts": verdicts}


def advice_lines(advice: Advice) -> Iterator[str]:
    """Yields the answer, why, and what to use instead."""
    yield f"{make_printable(advice.architecture)}: {_answer(advice)}"
    if advice.age.late:
        yield _old(advice.age)
    for tried in advice.asked[:SHOWN]:
        yield f"  {_pair(tried)}: {_format_measurement(tried, advice.ask.loader)}"
        if _fixed_helps(tried, advice.ask):
            yield f"    with the fixed loader every check passes there ({make_printable(FIXED_LOADER)})"
    if advice.safe and not (advice.ask.pinned and advice.answer is Answer.SAFE):
        yield "safe pairs, the nearest first:" if advice.ask.pinned else "safe pairs, the newest first:"
        yield from (f"  {_pair(tried)} (measured {tried.night})" for tried in advice.safe[:SHOWN])
    elif not advice.safe:
        yield "no pair of releases is known to be safe"


def _answer(advice: Advice) -> str:
    ask = advice.ask
    loader = f"with the {ask.loader} loader"
    if ask.pinned:
        pins = {"transformers": ask.transformers, "deepspeed": ask.deepspeed}
        wanted = " with ".join(f"{package} {make_printable(pin)}" for package, pin in pins.items() if pin)
        unknown = f"is {_UNCERTAIN}" if advice.asked else "was not measured"
        words = {
            Answer.SAFE: f"is safe {loader}{_where(advice)}",
            Answer.UNSAFE: f"is not safe {loader}",
            Answer.UNKNOWN: unknown,
        }
        return f"{wanted} {words[advice.answer]}"
    if advice.answer is Answer.UNKNOWN:
        return _UNCERTAIN if advice.measured else "nothing is known"
    safe = f"{len(advice.safe)} of {advice.measured} measured pairs"
    return f"{safe} are safe {loader}"


def _where(advice: Advice) -> str:
    """Says in how many of the pairs that were asked for, where that is not in all."""
    pairs = list(answer_pairs(advice.asked, advice.ask.loader).values())
    safe = pairs.count(Answer.SAFE)
    return "" if safe == len(pairs) else f" in {safe} of {len(pairs)} measured pairs"


def _old(age: Age) -> str:
    words = f"the data is {age.days} days old, from {age.night}: releases since then were not measured"
    return (
        f"{words}, and results older than {TRUSTED.days} days do not count as safe"
        if is_too_old(age.night, age.today)
        else words
    )


_UNCERTAIN: Final = (
    "not known to be safe or unsafe: measured only in part, not on every device, too long ago, or reruns disagree"
)


def _pair(tried: Tried) -> str:
    return f"transformers {make_printable(tried.transformers)}, deepspeed {make_printable(tried.deepspeed)}, {tried.device}"


def _format_measurement(tried: Tried, loader: Loader) -> str:
    """Returns `safe: load pass, save pass`, how old that is, and what makes it doubtful."""
    if not tried.verdicts:
        return f"unknown: it could not be measured (last tried {tried.night})"
    answer = tried.answer(loader)
    word = {Answer.SAFE: "safe", Answer.UNSAFE: "not safe", Answer.UNKNOWN: "unknown"}[answer]
    words = ", ".join(
        f"{variant.what} {verdict.replace('_', ' ')}" for variant, verdict in tried.measured(loader).items()
    )
    doubts = ", stale" * tried.stale + ", but reruns disagree" * (tried.racy and answer is Answer.UNKNOWN)
    return f"{word}: {words} (measured {tried.night}{doubts})"


def _fixed_helps(tried: Tried, ask: Ask) -> bool:
    return (
        ask.loader is Loader.STOCK
        and tried.answer(Loader.STOCK) is Answer.UNSAFE
        and tried.answer(Loader.FIXED) is Answer.SAFE
    )

"""Formats advice as lines for a terminal and as values for programs.

PURE: no input or output.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from matrix.advice.advice import Advice, Age, Ask
from matrix.advice.fixed_loader import FIXED_LOADER
from matrix.advice.known import describe_known
from matrix.advice.safety import Answer, Tried, answer_pairs
from matrix.advice.safety_text import describe_answers
from matrix.history.snapshot import TRUSTED, is_too_old
from matrix.model import Loader, Precision
from matrix.text import join_words, make_printable

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
        "precision": ask.precision,
        "answer": advice.answer,
        "night": advice.age.night.isoformat(),
        "days": advice.age.days,
        "asked": [_values(tried, ask.loader) for tried in advice.asked],
        "safe": [_values(tried, ask.loader) for tried in advice.safe],
    }


def _values(tried: Tried, loader: Loader) -> dict[str, Any]:
    verdicts = {variant.slug: verdict for variant, verdict in tried.verdicts.items()}
    values = {name: value for name, value in vars(tried).items() if name != "only"}
    return {
        **values,
        "known": [known.id for known in tried.known],
        "night": tried.night.isoformat(),
        "verdicts": verdicts,
        "answers": dict(tried.answers(loader)),
    }


def advice_lines(advice: Advice) -> Iterator[str]:
    """Yields the answer, why, and what to use instead."""
    yield f"{make_printable(advice.architecture)}: {_answer(advice)}"
    if advice.age.late:
        yield _old(advice.age)
    for tried in advice.asked[:SHOWN]:
        yield f"  {_pair(tried)}: {_format_measurement(tried, advice.ask.loader)}"
        yield from _causes(tried, advice.ask.loader)
        if _fixed_helps(tried, advice.ask):
            fixed = describe_answers(tried, Loader.FIXED)
            yield f"    with the fixed loader it is {fixed} ({make_printable(FIXED_LOADER)})"
    if advice.safe and not (advice.ask.pinned and advice.answer is Answer.SAFE):
        yield "safe pairs, the nearest first:" if advice.ask.pinned else "safe pairs, the newest first:"
        yield from (
            f"  {_pair(tried)}: {_format_measurement(tried, advice.ask.loader)}" for tried in advice.safe[:SHOWN]
        )
    elif not advice.safe:
        yield "no pair of releases is known to be safe"


def _causes(tried: Tried, loader: Loader) -> Iterator[str]:
    if loader is Loader.STOCK and tried.answer(loader) is Answer.UNSAFE:
        yield from (make_printable(f"    {describe_known(known)}; {known.outlook}") for known in tried.known)


def _answer(advice: Advice) -> str:
    ask = advice.ask
    loader = f"with the {ask.loader} loader"
    alone = f" in {ask.precision}" if ask.precision else ""
    if ask.pinned:
        pins = {"transformers": ask.transformers, "deepspeed": ask.deepspeed}
        wanted = " with ".join(f"{package} {make_printable(pin)}" for package, pin in pins.items() if pin)
        unknown = f"is {_UNCERTAIN}" if any(one.has_verdicts or not one.verdicts for one in advice.asked) else ""
        words = {
            Answer.SAFE: f"is safe{_in(_rests_on(advice))} {loader}{_where(advice)}",
            Answer.UNSAFE: f"is not safe{_in(_unsafe_in(advice))} {loader}",
            Answer.UNKNOWN: unknown or f"was not measured{alone}",
        }
        return f"{wanted} {words[advice.answer]}"
    if advice.answer is Answer.UNKNOWN:
        return _UNCERTAIN if advice.measured else f"nothing is known{alone}"
    safe = f"{len(advice.safe)} of {advice.measured} measured pairs"
    return f"{safe} are safe{alone} {loader}"


def _in(precisions: Sequence[Precision]) -> str:
    return f" in {join_words(sorted(precisions))}" if precisions else ""


def _rests_on(advice: Advice) -> list[Precision]:
    """Returns the precisions in which all are safe that are safe at all."""
    found = [one.precisions(advice.ask.loader) for one in advice.asked]
    return [precision for precision in Precision if all(precision in one for one in found if one)]


def _unsafe_in(advice: Advice) -> list[Precision]:
    found = [one.answers(advice.ask.loader) for one in advice.asked]
    return [precision for precision in Precision if any(one.get(precision) is Answer.UNSAFE for one in found)]


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
    """Returns `safe in float32: load, save`, how old that is, and what makes it doubtful."""
    if not tried.verdicts:
        return f"unknown: it could not be measured (last tried {tried.night})"
    if not tried.has_verdicts:
        return f"unknown: not measured in {tried.only} (last tried {tried.night})"
    uncertain = tried.answer(loader) is Answer.UNKNOWN
    doubts = ", stale" * tried.stale + ", but reruns disagree" * (tried.racy and uncertain)
    return f"{describe_answers(tried, loader)} (measured {tried.night}{doubts})"


def _fixed_helps(tried: Tried, ask: Ask) -> bool:
    return (
        ask.loader is Loader.STOCK
        and tried.answer(Loader.STOCK) is Answer.UNSAFE
        and tried.answer(Loader.FIXED) is Answer.SAFE
    )

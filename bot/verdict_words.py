"""PURE. How verdicts and kinds are shown to people, apart from how they are written in records."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.text import count, listed
from matrix import text as wording
from matrix.model import Check, Tensors
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class Shown:
    """A verdict for people: a letter where colour may not be seen, a word, its meaning, and what `n models` do."""

    letter: str
    word: str
    meaning: str
    does: str
    style: str


VERDICTS: Mapping[Verdict, Shown] = {
    Verdict.CORRUPT: Shown(
        "C",
        "corrupt",
        "returned normally, yet at least one tensor is wrong on at least one rank: silent",
        "{load} wrong values silently",
        "bold red",
    ),
    Verdict.REPORTED: Shown(
        "R",
        "reported",
        "wrong, but every wrong tensor is named as missing or in an error, on every rank",
        "{load} wrong values, every one reported",
        "yellow",
    ),
    Verdict.CRASH: Shown("X", "crash", "an exception was raised", "crash while {loading}", "bold magenta"),
    Verdict.HANG: Shown("H", "hang", "the watchdog ended it", "hang while {loading}", "magenta"),
    Verdict.FLAKY: Shown(
        "F", "flaky", "reruns disagree", "give different results each time when {loading}", "bright_yellow"
    ),
    Verdict.NOT_PARTITIONED: Shown(
        "N",
        "not partitioned",
        "values are right, but ZeRO-3 did not shard, so the check is void",
        "{load} right values without being partitioned",
        "cyan",
    ),
    Verdict.BASELINE_BROKEN: Shown(
        "B",
        "baseline broken",
        "the same model fails without ZeRO-3 too: not ZeRO-3's fault",
        "fail without ZeRO-3 too",
        "blue",
    ),
    Verdict.ENVIRONMENT: Shown(
        "E", "environment", "the packages could not be installed or imported", "stay unmeasured", "bold"
    ),
    Verdict.UNSUPPORTED: Shown("-", "unsupported", "this version has no such class", "have no such class", "dim"),
    Verdict.PASS: Shown("✓", "pass", "every compared tensor is right on every rank", "keep every value", "green"),
}

KINDS = wording.KINDS

_ACTS = {Check.LOAD: ("load", "loading"), Check.SAVE: ("save", "saving")}


def does(verdict: Verdict, check: Check, number: int) -> str:
    """What `number` architectures with `verdict` do in `check`: `crashes while saving`, `load wrong values silently`."""
    load, loading = _ACTS[check]
    verb, _, rest = VERDICTS[verdict].does.format(load=load, loading=loading).partition(" ")
    if number == 1:
        verb = "has" if verb == "have" else f"{verb}es" if verb.endswith("sh") else f"{verb}s"
    return f"{verb} {rest}"


def tensors_in_words(tensors: Tensors) -> str:
    """`2 buffers, 33 parameters and 2 non-persistent buffers`, or `no tensors`."""
    counts = [
        (tensors.buffers, "buffer"),
        (tensors.parameters, "parameter"),
        (tensors.nonpersistent, "non-persistent buffer"),
    ]
    return listed([count(number, noun) for number, noun in counts if number]) or "no tensors"


def reported_in_words(*, reported_missing: bool) -> str:
    """Whether the loader said so."""
    return "the loader listed it as missing" if reported_missing else "the loader did not say so"

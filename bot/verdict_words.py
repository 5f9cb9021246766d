"""PURE. Describes verdicts, findings and tensors to people; the words of each verdict are in `matrix.verdicts`."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from bot.text import count, join_words
from matrix.checks import CHECKS
from matrix.model import Check, Loader, Tensors, Variant, What
from matrix.verdicts import Verdict

WHATS: Mapping[What, str] = {
    What.PARAMETER: "parameter",
    What.BUFFER: "buffer",
    What.NONPERSISTENT: "non-persistent buffer",
    What.OUTPUT: "output",
}


def describe_verdict(verdict: Verdict, check: Check, number: int) -> str:
    """Describes what `number` architectures with `verdict` do in `check`: `crashes while saving`, `load wrong values silently`."""
    words = CHECKS[check].words
    verb, _, rest = verdict.row.does.format(load=words.verb, loading=words.doing).partition(" ")
    if number == 1:
        verb = "has" if verb == "have" else f"{verb}es" if verb.endswith("sh") else f"{verb}s"
    return f"{verb} {rest}"


def describe_trainings(variants: Iterable[Variant]) -> str:
    """Describes what all `variants` are trained in, each once: `float32 and bf16`."""
    return join_words(list(dict.fromkeys(variant.trained_in for variant in variants)))


def describe_variants(variants: Iterable[Variant]) -> str:
    """Describes what was done in what, whatever the loader: `load and save in float32 and bf16`, `load in float32, save in bf16`."""
    trainings: dict[Check, list[str]] = defaultdict(list)
    for variant in dict.fromkeys(one._replace(loader=Loader.STOCK) for one in variants):
        trainings[variant.check].append(variant.trained_in)
    checks: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for check, named in trainings.items():
        checks[tuple(named)].append(str(check))
    return ", ".join(f"{join_words(names)} in {join_words(named)}" for named, names in checks.items())


def is_absent(verdict: Verdict) -> bool:
    """Tests whether there was nothing to measure, though the environment works: it does not have the model."""
    return not (verdict.row.measured or verdict.infrastructure)


def is_failing(verdict: Verdict) -> bool:
    """Tests whether something is wrong, with the model or with its environment."""
    return verdict is not Verdict.PASS and not is_absent(verdict)


def describe_tensors(tensors: Tensors) -> str:
    """Describes how many tensors there are: `2 buffers, 33 parameters and 2 non-persistent buffers`, or `no tensors`."""
    counts = [
        (tensors.buffers, "buffer"),
        (tensors.parameters, "parameter"),
        (tensors.nonpersistent, "non-persistent buffer"),
    ]
    return join_words([count(number, noun) for number, noun in counts if number]) or "no tensors"


def describe_control(*, at_stage_0: bool | None) -> str:
    """Says whether `deepspeed.initialize` rounds the same without ZeRO-3, at stage 0; empty where that was not tried."""
    if at_stage_0 is None:
        return ""
    rounds = "rounds it too" if at_stage_0 else "does not round it"
    return f"without ZeRO-3, deepspeed.initialize {rounds}"


def describe_reported(*, reported_missing: bool) -> str:
    """Says whether the loader reported a tensor as missing."""
    return "the loader reported it as missing" if reported_missing else "the loader did not report it"

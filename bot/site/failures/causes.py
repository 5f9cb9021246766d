"""PURE. Finds why a case is failing. A cause has the same name for every model that it hits, and keeps it."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from bot.text import Sentence, clip
from matrix.advice.known import Known
from matrix.advice.match import Ranks
from matrix.checks import CHECKS
from matrix.model import Case, EnvironmentInfo, Failure, Finding, Kind, What
from matrix.text import join_lines
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class Cause:
    """An upstream mistake that makes cases fail.

    `slug` names it in addresses and never changes. `title` describes it. `known` are the entries of known.toml that explain it.
    """

    slug: str
    verdict: Verdict
    title: Sentence
    known: tuple[Known, ...] = ()


_SHAPE: Final = re.compile(
    r"""
    [\w.~-]*/[\w./-]+                           # a path
    |\b[A-Za-z_]\w*(?:\.\w+)*\.(?:weight|bias)\b|\b[A-Za-z_]\w*(?:\.\w+){2,}  # a tensor
    |\b[A-Z][a-z0-9]+(?:[A-Z]+[a-z0-9]+)+\w*      # a class
    |0x[0-9a-f]+|(?<![A-Za-z0-9])-?\d+(?:\.\d+)*    # a number
    """,
    re.VERBOSE,
)
_LINES: Final = 2
"""How many lines of a message are compared; the lines after them name more of the same."""

_VALUES: Final = frozenset({Kind.INIT_VALUE, Kind.ZEROS, Kind.NONFINITE, Kind.PARTIAL, Kind.GARBAGE})
"""What a tensor holds that nobody wrote to, or that something else was written to: which of these it is depends on chance."""

_WHATS: Final = {
    What.PARAMETER: "parameters",
    What.BUFFER: "persistent buffers",
    What.NONPERSISTENT: "non-persistent buffers",
    What.OUTPUT: "outputs",
}
_KINDS: Final = {
    Kind.ABSENT: "absent",
    Kind.META: "left without values",
    Kind.SHAPE: "of the wrong shape",
    Kind.DTYPE: "of the wrong dtype",
    Kind.ROUNDED: "rounded to a narrower dtype",
    Kind.UNTIED: "no longer tied",
    Kind.UNLIKE: "unlike other random values",
    Kind.OTHER_TENSOR: "holding another tensor's values",
}
_RANKS: Final = {
    Ranks.ALL: "on every rank",
    Ranks.ABOVE_ZERO: "on every rank but rank 0",
    Ranks.ZERO: "on rank 0 only",
    Ranks.SOME: "on some ranks",
}


def find_causes(case: Case, environment: EnvironmentInfo, known: Sequence[Known]) -> tuple[Cause, ...]:
    """Returns why `case` is failing in `environment`, each cause once; nothing for a case that is not failing.

    A cause that one entry of `known` explains has the name of that entry.
    """
    if case.verdict is Verdict.PASS or not case.verdict.row.measured:
        return ()
    alike = {
        (_way(found), found.what, found.site, found.kind, found.ranks, found.reported_missing, found.at_stage_0): found
        for found in case.findings
    }
    reasons: list[Finding | Failure] = [*alike.values(), *([case.error] if case.error else [])]
    found = (_cause(reason, case, environment, known) for reason in reasons)
    plain = Cause(case.verdict.replace("_", "-"), case.verdict, (case.verdict.row.meaning,))
    return tuple({cause.slug: cause for cause in found}.values()) or (plain,)


def _way(finding: Finding) -> str:
    """Returns in which way of its check the tensor is wrong; nothing where the check has one way only."""
    return finding.tensor.rpartition(": ")[0]


def _cause(reason: Failure | Finding, case: Case, environment: EnvironmentInfo, known: Sequence[Known]) -> Cause:
    own = _raised(reason, case.verdict) if isinstance(reason, Failure) else _wrong(reason, case, environment)
    explained = tuple(entry for entry in known if entry.explains(case, environment, reason))
    if len(explained) == 1:
        return Cause(explained[0].id, own.verdict, (explained[0].title,), explained)
    return Cause(own.slug, own.verdict, own.title, explained)


@lru_cache(1024)  # many cases raise the same
def _raised(error: Failure, verdict: Verdict) -> Cause:
    """Exceptions are the same mistake when they agree in type, function and the message but for its numbers and names."""
    function, message = error.frame.rpartition(" in ")[2], strip_details(error.message)
    words = f"{error.type} in {function}: {message}" if function else f"{error.type}: {message}"
    name = build_slug([verdict, error.type, function], words)
    return Cause(name, verdict, (clip(words, 240),))


def strip_details(message: str) -> str:
    """Returns a message without numbers, paths, class names and names of tensors."""
    lines = [line for line in message.splitlines() if line.strip()][:_LINES]
    return join_lines(_SHAPE.sub("…", " ".join(lines)))


def _wrong(finding: Finding, case: Case, environment: EnvironmentInfo) -> Cause:
    """Wrong tensors are the same mistake when they agree in what they are, on which ranks, and whether the loader said so."""
    what, flaky = _WHATS[finding.what], case.verdict is Verdict.FLAKY
    how = "wrong" if flaky or finding.kind in _VALUES else _KINDS[finding.kind]
    match case.verdict:
        case Verdict.FLAKY:
            words = f"{what} different from run to run"
        case Verdict.BASELINE_BROKEN:
            words = f"{what} {how} without ZeRO-3 too"
        case _:
            control = ", by deepspeed.initialize without ZeRO-3 too" if finding.at_stage_0 else ""
            words = f"{what} {how} {_where(finding, case, environment)}, {_said(finding)}{control}"
    verdict = _own_verdict(case.verdict, finding)
    return Cause(build_slug([verdict, finding.what, how], words), verdict, (words,))


def _own_verdict(verdict: Verdict, finding: Finding) -> Verdict:
    """Returns what the verdict would be if a case had no other finding: the worst of several decides that of the case."""
    if verdict not in (Verdict.CORRUPT, Verdict.NARROWED):
        return verdict
    if finding.reported_missing:
        return Verdict.REPORTED
    return Verdict.NARROWED if finding.kind is Kind.ROUNDED else verdict


def _where(finding: Finding, case: Case, environment: EnvironmentInfo) -> str:
    description = CHECKS[case.check]
    if description.in_one_process:  # which ranks are wrong says nothing
        return f"after {description.words.doing}"
    return _RANKS[Ranks.of(finding.ranks, environment.world_size)]


def _said(finding: Finding) -> str:
    return "listed as missing" if finding.reported_missing else "in silence"


def build_slug(words: Sequence[str], whole: str) -> str:
    """Returns a name for the address of a page: some readable `words`, and a digest of the `whole`."""
    readable = re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower())[:60].strip("-")
    digest = hashlib.sha256(whole.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{readable}-{digest}"

"""The table of verdicts, the worst first. A verdict is one member with its row here; reports, comments, badges, colours,
the site and the documents take what they show of it from the row.

Imported by host and probe, as `matrix.model` is: standard library only, Python 3.10 or newer.

PURE: no input or output.
"""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class VerdictRow:
    """What there is to know about a verdict. Texts for people are plain words, never markup."""

    letter: str
    """Shown where there is room for one character, so that colour is never the only sign. No two verdicts share one."""
    word: str
    meaning: str
    """One sentence without a full stop: legends, the site and README."""
    does: str
    """What several models do in a check; `{load}` and `{loading}` are the verb of the check."""
    fares: tuple[str, str]
    """What several models do, and what one does, in a pull request's comment."""
    own: str
    """What `check` says about the user's model; `{0} of {1}` are the reruns that agree."""
    style: str
    """For terminals, in words of rich."""
    badge: str
    """The colour of a badge, as shields.io calls it."""
    light: tuple[str, str]
    """Colours of a page: background and text."""
    dark: tuple[str, str]
    evidence: tuple[str, ...]
    """What a record of it may hold: `findings`, an `error`, a difference of the loading `report` alone, or `nothing`.

    Records that differ are rejected.
    """
    outcome: str = ""
    """What becomes of a case in a range of versions; empty when the verdict says nothing about ZeRO-3."""
    wrong: bool = False
    """Whether ZeRO-3 left wrong values, a wrong report of them, or no model at all: what exit code 1 means."""
    settled: bool = False
    """Whether a rerun cannot change it: decided without a race between ranks."""
    measured: bool = True
    """Whether the model was measured at all."""
    infrastructure: bool = False
    """Whether packages or machines are to blame, so that it never counts as a regression."""


class Verdict(str, Enum):
    """The outcome of a case, worst first."""

    row: VerdictRow
    rank: int
    """0 for the worst verdict, rising to the best."""

    def __new__(cls, name: str, *row: VerdictRow) -> "Verdict":  # noqa: PYI034 - Self is not in Python 3.10
        """Makes the member whose value, in records, is `name`; `*row`, as `Verdict(name)` looks a member up without one."""
        member = str.__new__(cls, name)
        member._value_ = name
        (member.row,) = row
        member.rank = len(cls.__members__)
        return member

    __str__ = str.__str__

    CORRUPT = (
        "corrupt",
        VerdictRow(
            letter="C",
            word="corrupt",
            meaning="returned normally, but at least one tensor is wrong on at least one rank, without any error",
            does="{load} wrong values silently",
            fares=("lose values", "loses values"),
            own="wrong values, and not all of them are named in missing_keys",
            style="bold red",
            badge="red",
            light=("#c3211f", "#fff"),
            dark=("#d5312e", "#fff"),
            evidence=("findings",),
            outcome="wrong",
            wrong=True,
        ),
    )
    NARROWED = (
        "narrowed",
        VerdictRow(
            letter="L",
            word="narrowed",
            meaning="returned normally, but tensors are rounded to a narrower dtype than without ZeRO-3, without any error",
            does="{load} values rounded to a narrower dtype silently",
            fares=("are rounded to a narrower dtype", "is rounded to a narrower dtype"),
            own="right values, but rounded to a narrower dtype than a plain load keeps",
            style="red",
            badge="red",
            light=("#e0567a", "#1f0009"),
            dark=("#c94a6c", "#fff"),
            evidence=("findings",),
            outcome="rounded",
            wrong=True,
        ),
    )
    REPORTED = (
        "reported",
        VerdictRow(
            letter="R",
            word="reported",
            meaning="wrong, but every wrong tensor is named as missing or in an error, on every rank",
            does="{load} wrong values, every one reported",
            fares=("lose values", "loses values"),
            own="wrong values, all of them named in missing_keys",
            style="yellow",
            badge="orange",
            light=("#f4b350", "#3f2200"),
            dark=("#d9922b", "#1f1000"),
            evidence=("findings",),
            outcome="wrong",
            wrong=True,
        ),
    )
    CRASH = (
        "crash",
        VerdictRow(
            letter="X",
            word="crash",
            meaning="an exception was raised",
            does="crash while {loading}",
            fares=("crash", "crashes"),
            own="raises on ZeRO-3",
            style="bold magenta",
            badge="orange",
            light=("#7a35c9", "#fff"),
            dark=("#8a4be0", "#fff"),
            evidence=("error",),
            outcome="crashes",
            wrong=True,
        ),
    )
    HANG = (
        "hang",
        VerdictRow(
            letter="H",
            word="hang",
            meaning="it did not finish within the time limit",
            does="hang while {loading}",
            fares=("hang", "hangs"),
            own="never returns",
            style="magenta",
            badge="orange",
            light=("#47207a", "#fff"),
            dark=("#5c2fa0", "#fff"),
            evidence=("error",),
            outcome="hangs",
            wrong=True,
        ),
    )
    MISREPORTED = (
        "misreported",
        VerdictRow(
            letter="M",
            word="misreported",
            meaning="every value is right, but the loading report differs from a plain load's",
            does="{load} right values with a wrong loading report",
            fares=("have a wrong loading report", "has a wrong loading report"),
            own="right values, but the loading report differs from a plain load's",
            style="yellow",
            badge="orange",
            light=("#6b6810", "#fff"),
            dark=("#77741a", "#fff"),
            evidence=("report",),
            outcome="misreported",
            wrong=True,
        ),
    )
    FLAKY = (
        "flaky",
        VerdictRow(
            letter="F",
            word="flaky",
            meaning="reruns disagree",
            does="give different results each time when {loading}",
            fares=("differ from run to run", "differs from run to run"),
            own="reruns disagree, {0} of {1} went wrong like this",
            style="bright_yellow",
            badge="orange",
            light=("#fbe38a", "#4a3900"),
            dark=("#c9ab3a", "#1d1600"),
            evidence=("findings", "error", "report", "nothing"),
            outcome="flaky",
            wrong=True,
        ),
    )
    NOT_PARTITIONED = (
        "not_partitioned",
        VerdictRow(
            letter="N",
            word="not partitioned",
            meaning="values are right, but ZeRO-3 did not shard the model, so the check proves nothing",
            does="{load} right values without being partitioned",
            fares=("are not partitioned", "is not partitioned"),
            own="ZeRO-3 did not shard the model, so the check proves nothing",
            style="cyan",
            badge="orange",
            light=("#12748c", "#fff"),
            dark=("#17768e", "#fff"),
            evidence=("findings", "report", "nothing"),
            outcome="not partitioned",
            wrong=True,
            settled=True,
        ),
    )
    BASELINE_BROKEN = (
        "baseline_broken",
        VerdictRow(
            letter="B",
            word="baseline broken",
            meaning="the same model fails without ZeRO-3 too: not ZeRO-3's fault",
            does="fail without ZeRO-3 too",
            fares=("fail without ZeRO-3 too", "fails without ZeRO-3 too"),
            own="fails in one process without ZeRO-3 too",
            style="blue",
            badge="yellow",
            light=("#b9b0a6", "#241f1a"),
            dark=("#6d655d", "#fff"),
            evidence=("findings", "error"),
            settled=True,
        ),
    )
    ENVIRONMENT = (
        "environment",
        VerdictRow(
            letter="E",
            word="environment",
            meaning="the packages could not be installed or imported",
            does="stay unmeasured",
            fares=("cannot be measured", "cannot be measured"),
            own="could not be measured",
            style="bold",
            badge="lightgrey",
            light=("#d9d4ce", "#241f1a"),
            dark=("#4a4540", "#f1ece6"),
            evidence=("error",),
            measured=False,
            infrastructure=True,
        ),
    )
    UNSUPPORTED = (
        "unsupported",
        VerdictRow(
            letter="-",
            word="unsupported",
            meaning="this version has no such class, or this device cannot train in this precision",
            does="have nothing to measure here",
            fares=("are gone", "is gone"),
            own="not possible here",
            style="dim",
            badge="lightgrey",
            light=("transparent", "var(--soft)"),
            dark=("transparent", "var(--soft)"),
            evidence=("error",),
            settled=True,
            measured=False,
        ),
    )
    PASS = (
        "pass",
        VerdictRow(
            letter="✓",
            word="pass",
            meaning="every compared tensor is right on every rank",
            does="keep every value",
            fares=("pass", "passes"),
            own="every value right on every rank",
            style="green",
            badge="brightgreen",
            light=("#dcf0e1", "#1c5a33"),
            dark=("#17331f", "#8fd6a6"),
            evidence=("nothing",),
            outcome="right",
            settled=True,
        ),
    )

    @property
    def wrong_values(self) -> bool:
        """Whether ZeRO-3 left wrong values, a wrong report of them, or no model at all: what exit code 1 means."""
        return self.row.wrong

    @property
    def infrastructure(self) -> bool:
        """Whether nothing was measured, so that it never counts as a regression."""
        return self.row.infrastructure

    @property
    def settled(self) -> bool:
        """Whether a rerun cannot change it: decided without a race between ranks."""
        return self.row.settled

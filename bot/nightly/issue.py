"""The issue that reports what changed between nightly runs: its text, and what is done with it after a run.

Like `bot.pull_requests.tracking_issue` it keeps its state in a marker, the last line of its text; what people read is made
from that. It is opened when something turns wrong or no run begins, closed when all is right again, and there is only one.

PURE: no input or output.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import ClassVar, Final

from pydantic import ConfigDict

from bot.github.marker import Marker
from bot.github.types import Comment
from bot.nightly.verdict_changes import CaseChange, CaseChanges
from bot.text import clip, count, render_markdown_code
from bot.verdict_words import describe_variants
from matrix.checks import find_variants

TITLE: Final = "Nightly: what changed"
SHOWN: Final = 30
"""Cases in each table, so that the text stays below what GitHub takes: 65,536 characters."""

_PLAIN: Final = re.compile(r"[\w.:+-]{1,120}", re.ASCII)
_STRANGE: Final = 20
"""Characters shown of a name that is not one of ours: made harmless, each takes six."""

_HEAD: Final = "| Environment | Case | Was | Is | Since |\n| --- | --- | --- | --- | --- |"
_GONE: Final = "These cases were wrong when last measured. Their environment left the nightly set, or their architecture left the catalog."
_UNWANTED: Final = "Nightly runs are no longer expected: the workflow `nightly` is disabled."
_CALM: Final = "Nothing is listed as wrong as of the nightly run of {night}."
_NEVER: Final = """\
**There are no records of a nightly run.** The branch with the records is empty or does not exist.
Start the workflow `nightly` by hand (*Actions*, *nightly*, *Run workflow*, on the default branch).
Then see which of its jobs fails, or waits for a machine or an approval. docs/nightly.md says what it needs.
If you do not want nightly runs, disable that workflow: then this issue is closed.
"""
_INTRODUCTION: Final = """\
The nightly workflow writes this issue. It opens the issue when a case that was right turns wrong, or when nightly runs stop.
It comments when that changes, and closes the issue when everything that is still measured is right again.
You may close the issue to say that you know what it lists.
"""


@dataclass(frozen=True)
class NightlyState:
    """The state of the issue: the day of the newest run, `night`, and how many of its cells are complete, failed, unfinished
    and rejected.

    `late` says that no run has begun for too long, or none at all where there is no `night`. `wrong`, `right` and
    `gone` are the newest changes of verdicts; there are `more` wrong ones, and `more_gone`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    night: date | None
    counts: tuple[int, int, int, int] = (0, 0, 0, 0)
    late: bool = False
    wrong: tuple[CaseChange, ...] = ()
    right: tuple[CaseChange, ...] = ()
    more: int = 0
    gone: tuple[CaseChange, ...] = ()
    more_gone: int = 0

    @property
    def mood(self) -> str:
        """Returns what there is to report; a change of it is worth a new comment."""
        named = {"regressed": bool(self.wrong), "late": self.late}
        return " and ".join(name for name, so in named.items() if so) or "calm"


@dataclass(frozen=True)
class IssueUpdate:
    """What to do with the issue: its new text and state, and a remark with a marker of its own, empty where none is due."""

    body: str
    state: str
    remark: str = ""
    marker: str = ""


MARKER: Final = Marker("zero3-nightly", NightlyState)


def build_state(night: date, counts: tuple[int, int, int, int], turned: CaseChanges) -> NightlyState:
    """Returns the state of the issue after the run of `night`."""
    wrong, right, gone = (tuple(map(_shorten, found[:SHOWN])) for found in (turned.wrong, turned.right, turned.gone))
    known = NightlyState(night, counts, wrong=wrong, right=right, gone=gone)
    return replace(known, more=len(turned.wrong) - len(wrong), more_gone=len(turned.gone) - len(gone))


def _shorten(change: CaseChange) -> CaseChange:
    """Shortens names, which come from records: a long one must not push others out of the text."""
    cell, architecture = (
        name if _PLAIN.fullmatch(name) else clip(name, _STRANGE) for name in (change.cell, change.architecture)
    )
    return replace(change, cell=cell, architecture=architecture)


def plan_update(issue: Comment | None, now: NightlyState) -> IssueUpdate | None:
    """Returns what to do for the state `now`; None when the issue says it already, or there is no reason to open one."""
    if issue is None:
        return IssueUpdate(render_body(now), "open") if now.mood != "calm" else None
    read = MARKER.parse(issue.body)
    before = read or NightlyState(now.night)
    again = not issue.open and _worth_opening(before, now)
    state = "open" if now.mood != "calm" and (issue.open or again) else "closed"
    unknown = read is None and issue.open and state == "closed"
    reported = again or unknown or (before.mood != now.mood and (issue.open or now.mood == "calm"))
    if now == before and issue.open is (state == "open"):
        return None
    marker = f"<!-- zero3-nightly-news {now.night} {now.mood.replace(' ', '-')} -->"
    remark = _CALM.format(night=now.night) if unknown else " ".join(_remark(before, now))
    return IssueUpdate(render_body(now), state, remark, marker) if reported else IssueUpdate(render_body(now), state)


def _worth_opening(before: NightlyState, now: NightlyState) -> bool:
    """Returns whether there is more than when somebody, or the bot, closed the issue."""
    return _count_new(before, now) > 0 or (now.late and not before.late)


def _count_new(before: NightlyState, now: NightlyState) -> int:
    """Counts the cases that are wrong and that `before` neither lists nor counts.

    The newest are listed: a case that is not newer than the last of them was one of the `more` that were counted, and moved up.
    """
    known = {change.subject for change in before.wrong}
    counted = min((change.since for change in before.wrong), default=date.min) if before.more else date.min
    new = [change for change in now.wrong if change.subject not in known and change.since > counted]
    grown = len(now.wrong) + now.more - len(before.wrong) - before.more
    return max(len(new), grown) if new else 0


def _remark(before: NightlyState, now: NightlyState) -> Iterator[str]:
    if new := _count_new(before, now):
        yield f"{count(new, 'case')} turned wrong as of the nightly run of {now.night}, see above."
    if before.wrong and not now.wrong:
        yield _over(before, now)
    if now.late is not before.late:
        yield _begun(before, now)


def _over(before: NightlyState, now: NightlyState) -> str:
    """Returns in words what became of the cases that were listed as wrong, now that none is."""
    listed = {change.subject for change in before.wrong}
    right, gone = (len(listed & {change.subject for change in turns}) for turns in (now.right, now.gone))
    if right == len(listed):
        return f"Everything listed above as wrong is right again, as of the nightly run of {now.night}."
    parts = {"right again": right, "no longer measured": gone}
    counts = ", ".join(f"{count(number, 'case')} {words}" for words, number in parts.items() if number)
    return f"Nothing is listed as wrong any more, as of the nightly run of {now.night}{': ' if counts else ''}{counts}."


def _begun(before: NightlyState, now: NightlyState) -> str:
    """Returns in words whether runs begin, now that it is another answer than before."""
    if now.night is None:
        return "There are no records of a nightly run, see above." if now.late else _UNWANTED
    if now.late:
        return f"No nightly run has started since {now.night}: see the workflow `nightly`."
    return f"Nightly runs have started{' again' if before.night else ''}: the newest is of {now.night}."


def render_body(known: NightlyState) -> str:
    """Returns the text of the issue. Nothing in it mentions anybody or refers to anything."""
    parts = [
        _INTRODUCTION,
        *_state(known),
        "",
        *_table("Wrong", known.wrong, known.more),
        *_table("No longer measured", known.gone, known.more_gone, _GONE),
        *_table("Right again", known.right),
    ]
    return "\n".join([*parts, MARKER.render(known)])


def _state(known: NightlyState) -> Iterator[str]:
    complete, failed, unfinished, rejected = known.counts
    if any(known.counts):
        cells = f"{complete:,} cells complete, {failed:,} not installable, {unfinished:,} not finished"
        yield f"The nightly run of {known.night}: {cells}, {count(rejected, 'file')} rejected."
    if known.late:
        yield (
            f"**No nightly run has started since {known.night}.** The site shows the results of that day."
            if known.night
            else _NEVER
        )


def _table(title: str, turns: Sequence[CaseChange], more: int = 0, words: str = "") -> list[str]:
    if not turns:
        return []
    head = [f"### {title}", "", *([words, ""] if words else []), _HEAD]
    rest = [f"\nand {count(more, 'more case')}"] if more else []
    alike: dict[tuple[object, ...], list[CaseChange]] = defaultdict(list)
    for change in turns:
        alike[change.cell, change.architecture, change.loader, change.before, change.after, change.since].append(change)
    return [*head, *map(_row, alike.values()), *rest, ""]


def _row(alike: Sequence[CaseChange]) -> str:
    """Returns the row of cases of a model that differ in check and precision only."""
    change, variants = alike[0], find_variants(one.key for one in alike)
    case = f"{render_markdown_code(change.architecture)} {change.loader} loader, {describe_variants(variants)}"
    verdicts = [str(verdict).replace("_", " ") for verdict in (change.before, change.after)]
    return f"| {' | '.join([render_markdown_code(change.cell), case, *verdicts, str(change.since)])} |"

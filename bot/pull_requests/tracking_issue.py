"""PURE. The text of the project's tracking issue: results that may not be told upstream, and how far `watch` has come.

Everything is in a marker, the last line of the text; what people read is made from it.

PURE: no input or output.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError

from bot.comment.context import Headline
from bot.github.fields import Link, Moment, Number, RepositoryName, Sha
from bot.github.types import PullRequest
from bot.text import markdown_code

MARKER: Final = "<!-- zero3-tracking "
TITLE: Final = "Upstream pull requests under ZeRO-3"
ENTRIES: Final = 50
JUDGED: Final = 150
"""Results and heads remembered, so that the text stays below what GitHub takes: 65,536 characters."""

_MARKER: Final = re.compile(rf"^{MARKER}(.*) -->\s*\Z", re.MULTILINE)
_STRICT: Final = ConfigDict(extra="forbid", strict=True)

_INTRODUCTION: Final = """\
Pull requests that touch loading code, in repositories where this bot does not comment. The newest result comes first.
Links to pull requests go through redirect.github.com, so that nobody upstream is told about this list.
"""


@dataclass(frozen=True)
class Entry:
    """The result of one pull request; `url` is the page of the workflow run that found it."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    repository: RepositoryName
    number: Number
    head: Sha
    headline: Headline
    run: Number
    attempt: Number
    url: Link

    @property
    def subject(self) -> tuple[str, int]:
        """What there is one entry of."""
        return self.repository.lower(), self.number

    @property
    def age(self) -> tuple[int, int]:
        """Sorts entries by run and attempt."""
        return self.run, self.attempt


@dataclass(frozen=True)
class Cursor:
    """How far a repository is judged: all that was updated until `since`, and `judged`, the newest heads, shortened."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    since: Moment
    judged: tuple[Annotated[str, StringConstraints(pattern=r"^[0-9]{1,10}\.[0-9a-f]{12}$")], ...] = ()

    def knows(self, pull_request: PullRequest) -> bool:
        """Whether the pull request is judged already at this head."""
        return _head(pull_request) in self.judged

    def judge(self, pull_request: PullRequest) -> "Cursor":
        """The cursor when the pull request is judged at this head too."""
        return replace(self, judged=(*self.judged, _head(pull_request))[-JUDGED:])


def _head(pull_request: PullRequest) -> str:
    return f"{pull_request.number}.{pull_request.head.sha[:12]}"


@dataclass(frozen=True)
class Ledger:
    """All that the tracking issue knows; `entries` have the newest run first."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    cursors: Mapping[RepositoryName, Cursor] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()

    def with_cursor(self, repository: str, cursor: Cursor) -> "Ledger":
        """The ledger when `repository` is followed until `cursor`."""
        return replace(self, cursors={**self.cursors, repository: cursor})

    def with_entry(self, entry: Entry) -> "Ledger":
        """The ledger with the result of a pull request, unless it has that of a newer run."""
        same = [one for one in self.entries if one.subject == entry.subject]
        newest = max([*same, entry], key=lambda one: one.age)
        others = [one for one in self.entries if one.subject != entry.subject]
        return replace(self, entries=tuple(sorted([newest, *others], key=lambda one: one.age, reverse=True)[:ENTRIES]))


_LEDGER: Final = TypeAdapter(Ledger)


def parse_ledger(body: str) -> Ledger | None:
    """The ledger in the last line of `body`; None where there is none or anything about it is wrong."""
    found = _MARKER.search(body)
    with suppress(ValidationError):
        return _LEDGER.validate_json(found[1]) if found else None
    return None


def tracking_body(ledger: Ledger) -> str:
    """The text of the issue. Nothing in it mentions anybody or refers to anything."""
    rows = [_row(entry) for entry in ledger.entries] or ["| none yet | | | |"]
    table = "\n".join(["| Pull request | Commit | Result | Run |", "| --- | --- | --- | --- |", *rows])
    text = json.dumps(asdict(ledger), separators=(",", ":")).replace("<", r"\u003c").replace(">", r"\u003e")
    return f"{_INTRODUCTION}\n{table}\n\n{MARKER}{text} -->"


def _row(entry: Entry) -> str:
    pull = f"https://redirect.github.com/{entry.repository}/pull/{entry.number}"
    shown = f"[{markdown_code(f'{entry.repository} {entry.number}')}]({pull})"
    return f"| {shown} | `{entry.head[:12]}` | {entry.headline.replace('_', ' ')} | [run {entry.run}]({entry.url}) |"

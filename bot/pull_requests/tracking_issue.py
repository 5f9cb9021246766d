"""The project's tracking issue: results that the bot may not post upstream, and how far `watch` has come.

The state is in a marker, the last line of the text; what people read is rendered from it.

PURE: no input or output.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, StringConstraints

from bot.comment.state import Headline
from bot.github.marker import Marker
from bot.github.types import Link, Moment, Number, PullRequest, RepositoryName, Sha
from bot.text import render_markdown_code

TITLE: Final = "Upstream pull requests under ZeRO-3"
ENTRIES: Final = 50
JUDGED: Final = 150
"""Results and heads remembered, so that the text stays below what GitHub takes: 65,536 characters."""

_STRICT: Final = ConfigDict(extra="forbid", strict=True)

_INTRODUCTION: Final = """\
Pull requests that touch loading code, in repositories where this bot does not comment. The newest result comes first.
Links to pull requests go through redirect.github.com, so that nobody upstream is notified of this list.
"""


@dataclass(frozen=True)
class TrackedResult:
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
        """Returns the pull request; there is one entry for each."""
        return self.repository.lower(), self.number

    @property
    def age(self) -> tuple[int, int]:
        """Returns run and attempt, which sort entries."""
        return self.run, self.attempt


@dataclass(frozen=True)
class Cursor:
    """How far a repository is assessed: all that was updated until `since`, and `judged`, the newest heads, shortened."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    since: Moment
    judged: tuple[Annotated[str, StringConstraints(pattern=r"^[0-9]{1,10}\.[0-9a-f]{12}$")], ...] = ()

    def knows(self, pull_request: PullRequest) -> bool:
        """Tests whether the pull request is assessed already at this head."""
        return _head(pull_request) in self.judged

    def with_head(self, pull_request: PullRequest) -> "Cursor":
        """Returns the cursor after this head of the pull request was assessed too."""
        return replace(self, judged=(*self.judged, _head(pull_request))[-JUDGED:])


def _head(pull_request: PullRequest) -> str:
    return f"{pull_request.number}.{pull_request.head.sha[:12]}"


@dataclass(frozen=True)
class TrackingState:
    """The state of the tracking issue; `entries` have the newest run first."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    cursors: Mapping[RepositoryName, Cursor] = field(default_factory=dict)
    entries: tuple[TrackedResult, ...] = ()

    def with_cursor(self, repository: str, cursor: Cursor) -> "TrackingState":
        """Returns the state with the cursor of `repository`."""
        return replace(self, cursors={**self.cursors, repository: cursor})

    def with_entry(self, entry: TrackedResult) -> "TrackingState":
        """Returns the state with the result of a pull request, unless it has that of a newer run."""
        same = [one for one in self.entries if one.subject == entry.subject]
        newest = max([*same, entry], key=lambda one: one.age)
        others = [one for one in self.entries if one.subject != entry.subject]
        return replace(self, entries=tuple(sorted([newest, *others], key=lambda one: one.age, reverse=True)[:ENTRIES]))


MARKER: Final = Marker("zero3-tracking", TrackingState)


def render_tracking_issue(state: TrackingState) -> str:
    """Returns the text of the issue. Nothing in it mentions anybody or creates a reference elsewhere."""
    rows = [_row(entry) for entry in state.entries] or ["| none yet | | | |"]
    table = "\n".join(["| Pull request | Commit | Result | Run |", "| --- | --- | --- | --- |", *rows])
    return f"{_INTRODUCTION}\n{table}\n\n{MARKER.render(state)}"


def _row(entry: TrackedResult) -> str:
    pull = f"https://redirect.github.com/{entry.repository}/pull/{entry.number}"
    shown = f"[{render_markdown_code(f'{entry.repository} {entry.number}')}]({pull})"
    return f"| {shown} | `{entry.head[:12]}` | {entry.headline.replace('_', ' ')} | [run {entry.run}]({entry.url}) |"

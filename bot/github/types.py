"""GitHub's objects as the bot sees them, and the patterns of their fields; no PyGithub outside of bot/github.

PURE: no input or output.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

Sha = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
"""A full commit name."""

RepositoryName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}/\.{0,99}[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$")
]
"""`owner/name`, which no path such as `owner/..` is."""

Login = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(\[bot\])?$")]
"""The name of an account: a user, or an app, whose logins alone may end with `[bot]`."""

Number = Annotated[int, Field(ge=1, le=2**53)]
"""An id or a number that GitHub counts up; 2**53 is as far as every JSON reader goes."""

Moment = Annotated[str, StringConstraints(pattern=r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
"""A time as GitHub writes it, which sorts as text."""

WorkflowPath = Annotated[
    str, StringConstraints(pattern=r"^\.github/workflows/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\.ya?ml$")
]
"""A workflow's file in its repository."""

Link = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.:-]{1,200}(/[A-Za-z0-9._/#?=&-]{0,500})?$")]
"""An address without anything that Markdown or HTML would read."""

_GLOB = "[A-Za-z0-9_*?][A-Za-z0-9_.:*?-]{0,99}"  # never an option of a command line
SELECTOR = f"{_GLOB}( {_GLOB}){{0,9}}"
Selector = Annotated[str, StringConstraints(pattern=f"^({SELECTOR})?$")]
"""Globs of architectures, separated by spaces; empty for all."""

_ID_GLOB = "[A-Za-z0-9_*?][A-Za-z0-9_.+*?-]{0,199}"
EnvironmentSelector = Annotated[str, StringConstraints(pattern=rf"^({_ID_GLOB}( {_ID_GLOB}){{0,9}})?$")]
"""Globs of environment ids, separated by spaces; empty for all."""

SetName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
"""A set of environments.toml."""


class FileStatus(StrEnum):
    """The status of a changed file, in the words of GitHub's `diff-entry`."""

    ADDED = "added"
    REMOVED = "removed"
    MODIFIED = "modified"
    RENAMED = "renamed"
    COPIED = "copied"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class ChangedFile:
    """One file of a change. `patch` holds its hunks; None where GitHub leaves them out: binary, or too large."""

    path: str
    status: FileStatus
    previous: str | None = None
    patch: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Returns every path that this file has or had."""
        return tuple(path for path in (self.path, self.previous) if path)


@dataclass(frozen=True)
class Change:
    """The files that a pull request changes. GitHub lists at most 3,000, `total` counts all."""

    repository: str
    files: tuple[ChangedFile, ...]
    total: int

    @property
    def complete(self) -> bool:
        """Tests whether every changed file is listed."""
        return len(self.files) >= self.total


@dataclass(frozen=True)
class CommitComparison:
    """What a head changes since it branched off from a base at `merge_base`.

    It is about commits, so it is the same whatever the pull request's head is meanwhile. GitHub lists 300 files at most;
    `whole` is whether those are all.
    """

    merge_base: str
    change: Change
    whole: bool


@dataclass(frozen=True)
class Revision:
    """An exact commit: `repository` is `owner/name`, `sha` 40 hexadecimal digits."""

    repository: str
    sha: str
    repository_id: int = 0


@dataclass(frozen=True)
class PullRequest:
    """A pull request at one moment. `base.sha` is the tip of the branch that it is for."""

    repository: str
    number: int
    base: Revision
    head: Revision
    head_branch: str
    author: str = ""
    open: bool = True
    locked: bool = False
    changed_files: int = 0
    updated: str = ""


@dataclass(frozen=True)
class Comment:
    """A comment on a pull request or an issue; `app` is the slug of the GitHub App that wrote it, if one did.

    The first text of an issue is one too: `open` is whether the issue is.
    """

    id: int
    author: str
    body: str
    author_type: str = "User"
    app: str = ""
    url: str = ""
    created: str = ""
    open: bool = True

    def is_by(self, login: str) -> bool:
        """Tests whether `login` wrote the comment; an app's login counts for an app's comment alone."""
        return self.author.lower() == login.lower() and (self.author_type == "Bot" or not login.endswith("[bot]"))


@dataclass(frozen=True)
class WorkflowRun:
    """A workflow run from GitHub's data, never from its artifacts. `path` is the workflow's file."""

    id: int
    attempt: int
    path: str
    event: str
    head_sha: str
    head_branch: str
    head_repository: str
    head_repository_id: int
    title: str = ""
    conclusion: str = ""
    url: str = ""


@dataclass(frozen=True)
class Workflow:
    """A workflow of a repository: whether it is `enabled`, and `since` which day the repository has it."""

    enabled: bool
    since: date


@dataclass(frozen=True)
class JobResult:
    """One job of a workflow run and its conclusion, such as `success`, `failure` or `cancelled`; empty while it runs."""

    name: str
    conclusion: str


@dataclass(frozen=True)
class ArtifactInfo:
    """An artifact of a workflow run, without its content; `size` in bytes as it was uploaded."""

    id: int
    name: str
    size: int
    digest: str = ""
    expired: bool = False


@dataclass(frozen=True)
class Annotation:
    """A message about lines of a changed file, in a check run."""

    path: str
    start: int
    end: int
    message: str
    level: str = "warning"


@dataclass(frozen=True)
class CheckRun:
    """A check run. `conclusion` is one of GitHub's: success, failure, neutral ..."""

    name: str
    head_sha: str
    conclusion: str
    title: str
    summary: str
    text: str = ""
    annotations: tuple[Annotation, ...] = ()
    details_url: str = ""
    external_id: str = ""

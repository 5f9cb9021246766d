"""Parses the events that start the bot, strictly; of the payload only the fields that are listed here.

Fields carry GitHub's own names (https://docs.github.com/webhooks/webhook-events-and-payloads). Text in them is hostile.

PURE: no input or output.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import TypeAdapter, ValidationError

from bot.github.types import Login, Number, RepositoryName, Sha
from matrix.errors import MatrixError
from matrix.text import make_visible


class EventError(MatrixError):
    """The payload does not fit its event; says what is wrong, without its values."""

    def __init__(self, name: str, problems: str) -> None:
        super().__init__(f"cannot use the event {make_visible(name)!r}: {problems}")


@dataclass(frozen=True)
class EventRepository:
    """A repository; its id stays when its name changes."""

    id: Number
    full_name: RepositoryName


@dataclass(frozen=True)
class HomeRepository(EventRepository):
    """The repository that the event happened in."""

    default_branch: str


@dataclass(frozen=True)
class EventBranch:
    """Base or head of a pull request; `repo` is None where the fork was deleted."""

    ref: str
    sha: Sha
    repo: EventRepository | None


@dataclass(frozen=True)
class EventPullRequest:
    """The pull request of a `pull_request` event."""

    number: Number
    base: EventBranch
    head: EventBranch


@dataclass(frozen=True)
class PullRequestEvent:
    """A pull request was opened, pushed to, or reopened."""

    action: str
    pull_request: EventPullRequest
    repository: HomeRepository


@dataclass(frozen=True)
class EventWorkflowRun:
    """The run of a `workflow_run` event. `path` is its workflow file: names can be taken by anybody."""

    id: Number
    run_attempt: Number
    path: str
    event: str
    head_sha: Sha
    head_branch: str | None
    head_repository: EventRepository | None
    conclusion: str | None


@dataclass(frozen=True)
class WorkflowRunEvent:
    """A workflow run began or ended."""

    action: str
    workflow_run: EventWorkflowRun
    repository: HomeRepository


@dataclass(frozen=True)
class EventAccount:
    """The account that did it; `type` is `User` or `Bot`."""

    login: Login
    type: str


@dataclass(frozen=True)
class EventIssue:
    """The issue that was commented on; `pull_request` is there when it is one."""

    number: Number
    state: str
    pull_request: Mapping[str, object] | None = None


@dataclass(frozen=True)
class EventComment:
    """The comment of an `issue_comment` event; `user` is None where the account was deleted."""

    id: Number
    body: str
    user: EventAccount | None


@dataclass(frozen=True)
class CommentEvent:
    """Somebody commented on an issue or a pull request."""

    action: str
    issue: EventIssue
    comment: EventComment
    repository: HomeRepository


@dataclass(frozen=True)
class DispatchEvent:
    """Somebody, or the bot, started a workflow by hand, or its schedule did: then there are no inputs."""

    repository: HomeRepository
    inputs: Mapping[str, str] | None = field(default_factory=dict)


Event = PullRequestEvent | WorkflowRunEvent | CommentEvent | DispatchEvent

_EVENTS: Final[Mapping[str, type[Event]]] = {
    "pull_request": PullRequestEvent,
    "workflow_run": WorkflowRunEvent,
    "issue_comment": CommentEvent,
    "workflow_dispatch": DispatchEvent,
}


def name_event(kind: type[object]) -> str:
    """Returns what GitHub calls a kind of event."""
    return next(name for name, known in _EVENTS.items() if known is kind)


def parse_event(name: str, payload: bytes) -> Event:
    """Parses the `payload` of the event `name` as GitHub sent it; raises EventError with everything that is wrong."""
    if name not in _EVENTS:
        raise EventError(name, f"known events are {', '.join(_EVENTS)}")
    try:
        return TypeAdapter[Event](_EVENTS[name]).validate_json(payload, strict=True)
    except ValidationError as error:
        raise EventError(name, "; ".join(map(_problem, error.errors()))) from None  # its text quotes the payload


def _problem(details: Mapping[str, object]) -> str:
    where = details["loc"]
    path = ".".join(map(str, where)) if isinstance(where, tuple) else ""
    return make_visible(f"{path}: {details['msg']}" if path else str(details["msg"]))

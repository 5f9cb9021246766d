"""Decides what happens to the one comment of a pull request: found by author and marker, edited in place.

A new comment, which notifies people, is written when a result got worse.

The author counts as well as the marker, since other bots quote markers
(https://github.com/pytorch/test-infra/issues/8163).

PURE: no input or output.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.comment.state import MARKER, CommentState, Headline
from bot.github.types import Comment


@dataclass(frozen=True)
class Posted:
    """A comment of ours. `state` is None when its marker was damaged."""

    comment: Comment
    state: CommentState | None


@dataclass(frozen=True)
class Create:
    """Write the first comment."""

    body: str


@dataclass(frozen=True)
class Edit:
    """Put `body` in place of the comment's."""

    comment: int
    body: str


@dataclass(frozen=True)
class Supersede:
    """Write a new comment, which notifies people; each older one of ours becomes a line that links to it."""

    body: str


@dataclass(frozen=True)
class Nothing:
    """Do not change the comment: it already says the same, or somebody muted it."""

    reason: str


@dataclass(frozen=True)
class Skip:
    """Do nothing: our result is out of date."""

    reason: str


Action = Create | Edit | Supersede | Nothing | Skip


def find_ours(existing: Sequence[Comment], login: str) -> tuple[Posted, ...]:
    """Returns the comments with our marker that `login` wrote, that of the newest run last."""
    found = [
        Posted(comment, MARKER.parse(comment.body))
        for comment in existing
        if comment.is_by(login) and MARKER.is_in(comment.body)
    ]
    return tuple(sorted(found, key=lambda one: (one.state.age if one.state else (0, 0), one.comment.id)))


def continue_state(new: CommentState, existing: Sequence[Comment], login: str) -> CommentState:
    """Returns `new` with the `since` of the comment before it, if that has the same headline; else with its own head."""
    posted = find_ours(existing, login)
    old = posted[-1].state if posted else None
    return replace(new, since=old.since if old and old.headline == new.headline else new.head)


def decide_action(existing: Sequence[Comment], login: str, new: CommentState, body: str) -> Action:
    """Returns what to do so that the pull request has one right comment; `body` is without a marker."""
    state = continue_state(
        replace(new, digest=new.digest or hashlib.sha256(body.encode()).hexdigest()), existing, login
    )
    posted = find_ours(existing, login)
    if not posted:
        return Create(MARKER.sign(body, state))
    old = posted[-1].state
    if reason := _outdated(old, state):
        return Skip(reason)
    if reason := _quiet(old, state):
        return Nothing(reason)
    if old and old.headline is not Headline.REGRESSED and state.headline is Headline.REGRESSED:
        return Supersede(MARKER.sign(body, state))
    return Edit(posted[-1].comment.id, MARKER.sign(body, state))


def _outdated(old: CommentState | None, new: CommentState) -> str:
    if old and old.age > new.age:
        return f"it already reports the newer run {old.run}, attempt {old.attempt}"
    return ""


def _quiet(old: CommentState | None, new: CommentState) -> str:
    if old and old.muted:
        return "it is muted"
    return "it already says this" if old and old.digest == new.digest else ""

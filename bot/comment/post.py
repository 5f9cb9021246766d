"""Brings the one comment of a pull request up to date: does what `bot.comment.upsert` decides."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

from bot.comment.state import CommentState
from bot.comment.upsert import Action, Create, Edit, Nothing, Skip, Supersede, continue_state, decide_action, find_ours
from bot.github.errors import ForbiddenError, NotFoundError, TooLongError
from bot.github.thread import Thread

LIMITS: Final = (59_500, 30_000, 10_000, 2_000)
"""Characters that a body is asked to keep to, the next one whenever GitHub finds it too long; the marker adds under 500."""


class Write(Protocol):
    """Writes the body of a comment, without its marker, for a state whose `since` is known."""

    def __call__(self, state: CommentState, /, *, limit: int) -> str:
        """Returns the body in at most `limit` characters."""


def has_newer_report(thread: Thread, state: CommentState) -> bool:
    """Tests whether a comment of ours reports a later run than `state`."""
    return any(one.state and one.state.age > state.age for one in find_ours(thread.comments(), thread.github.login))


def post_comment(thread: Thread, new: CommentState, write_body: Write) -> str:
    """Brings the one comment up to date and returns what was done, in words for the log.

    May be repeated at will. The words also say when the conversation is locked, gone or not ours to write in; other
    failures are raised as GitHubError.
    """
    try:
        return _fitting(thread, new, write_body)
    except (ForbiddenError, NotFoundError, TooLongError) as error:
        return f"The result could not be posted as a comment: {error}"


def _fitting(thread: Thread, new: CommentState, write_body: Write) -> str:
    for limit in LIMITS[:-1]:
        with suppress(TooLongError):
            return _post(thread, new, partial(write_body, limit=limit))
    return _post(thread, new, partial(write_body, limit=LIMITS[-1]))


def _post(thread: Thread, new: CommentState, write_body: Callable[[CommentState], str]) -> str:
    try:
        return _post_once(thread, new, write_body)
    except NotFoundError:  # deleted between listing and editing: what is there now decides
        return _post_once(thread, new, write_body)


def _post_once(thread: Thread, new: CommentState, write_body: Callable[[CommentState], str]) -> str:
    existing, login = thread.comments(), thread.github.login
    state = continue_state(new, existing, login)
    words = _act(thread, decide_action(existing, login, state, write_body(state)))
    # After the newest is there: at no moment is a pull request without a result.
    _tidy(thread)
    return words


def _act(thread: Thread, action: Action) -> str:
    match action:
        case Create(body) | Supersede(body):
            return f"Posted {thread.create(body, body.splitlines()[-1]).url}"
        case Edit(comment, body):
            return f"Updated {thread.edit(comment, body).url}"
        case Nothing(reason) | Skip(reason):
            return f"The comment was not changed: {reason}."


def _tidy(thread: Thread) -> None:
    """Keeps one comment with our marker. Every other one, also of an interrupted report, becomes a link to it."""
    posted = find_ours(thread.comments(), thread.github.login)
    for older in posted[:-1]:
        with suppress(NotFoundError):
            thread.edit(older.comment.id, f"Superseded by [a newer result]({posted[-1].comment.url}).")

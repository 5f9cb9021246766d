"""Executes a command in a comment, and replies to it.

Only for people who may write to the repository: all others get one reply in a conversation together. A command applies to
the head that the pull request has when it is read; the reply names that commit. Each comment gets one reply, however often
its event is delivered.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from bot.comment.state import MARKER
from bot.comment.upsert import Posted, find_ours
from bot.github.errors import ForbiddenError
from bot.github.events import CommentEvent
from bot.github.thread import Thread
from bot.github.types import SELECTOR, PullRequest
from bot.pull_requests.comment_commands import (
    Command,
    ExplainCommand,
    HelpCommand,
    MuteCommand,
    RerunCommand,
    RunCommand,
    describe_commands,
    describe_unknown,
    parse_command,
)
from bot.pull_requests.services import Services
from bot.text import count, render_markdown_code
from matrix.catalog.select import select
from matrix.errors import UnknownNameError
from matrix.model import Architecture

MAY_COMMAND: Final = frozenset({"admin", "maintain", "write"})
EXPLAINED: Final = 3


def answer_comment(
    event: CommentEvent, services: Services, catalog: Sequence[Architecture], explain: Callable[[str], str]
) -> str:
    """Does what the comment asks for and replies to it once; returns what was done, for the log. Raises GitHubError.

    Nothing happens for comments without a command, of bots, and on issues and closed pull requests. `explain` returns
    the results of an architecture of `catalog`, as Markdown.
    """
    command, user = parse_command(event.comment.body), event.comment.user
    asked = event.action == "created" and event.issue.pull_request is not None and event.issue.state == "open"
    if not (command and asked and user and user.type == "User"):
        return "nothing to do: no command on an open pull request"
    thread = Thread(services.github, event.repository.full_name, event.issue.number)
    allowed = services.github.fetch_permission(thread.repository, user.login) in MAY_COMMAND
    # Anybody may comment, so strangers get one reply in each conversation and no more requests than that takes.
    marker = f"<!-- zero3-reply {event.comment.id} -->" if allowed else _STRANGERS
    if thread.holds(marker):
        return f"nothing to do: {'replied already' if allowed else 'the author may not use commands'}"
    words = _Executor(services, thread, catalog, explain).run(command) if allowed else _NO
    # Every comment has a job of its own, so several strangers' jobs may find no reply and write one.
    reply = thread.create(f"{words}\n\n{marker}", marker, shared=not allowed)
    return f"replied: {reply.url}"


_NO: Final = "Thank you for asking. Only people with write access to this repository can use my commands."
_STRANGERS: Final = "<!-- zero3-reply to those without write access -->"


class _Executor:
    """Executes one command on one pull request and returns the words of the reply."""

    def __init__(
        self, services: Services, thread: Thread, catalog: Sequence[Architecture], explain: Callable[[str], str]
    ) -> None:
        self._services, self._thread, self._catalog, self._explain = services, thread, catalog, explain

    def run(self, command: Command) -> str:
        try:
            return self._run(command)
        except UnknownNameError as error:
            return describe_unknown(error)

    def _run(self, command: Command) -> str:
        match command:
            case RunCommand(text):
                selector = self._selected(text)
                return self._start(self._head(), selector)
            case RerunCommand():
                return self._rerun(self._head())
            case ExplainCommand(architecture):
                return self._explained(architecture)
            case MuteCommand(muted):
                return self._mute(muted=muted)
            case HelpCommand(unknown):
                return describe_commands(unknown)

    def _head(self) -> PullRequest:
        return self._services.github.fetch_pull_request(self._thread.repository, self._thread.number)

    def _comment(self) -> Posted | None:
        posted = find_ours(self._thread.comments(), self._services.github.login)
        return posted[-1] if posted else None

    def _names(self, text: str) -> tuple[str, ...]:
        """Returns the catalog ids that `text` selects; raises UnknownNameError, also for text that can never be a name."""
        if not re.fullmatch(SELECTOR, text):
            raise UnknownNameError("architecture", [text], [entry.id for entry in self._catalog])
        return tuple(entry.id for entry in select(self._catalog, text.split()))

    def _selected(self, text: str) -> str:
        selector = " ".join(text.replace(",", " ").split())
        return selector if not selector or self._names(selector) else ""

    def _start(self, pull: PullRequest, selector: str = "") -> str:
        self._services.start_run(pull, selector)
        if selector:
            return f"Measuring {render_markdown_code(pull.head.sha[:12])}, only {render_markdown_code(selector)}. I will reply here."
        return (
            f"Measuring {render_markdown_code(pull.head.sha[:12])}. The result goes into my comment and the check run."
        )

    def _rerun(self, pull: PullRequest) -> str:
        comment = self._comment()
        state = comment.state if comment else None
        if not state or state.head != pull.head.sha:
            return self._start(pull)
        if not self._services.github.fetch_workflow_run(self._services.project, state.run).conclusion:
            return f"The run of {render_markdown_code(state.head[:12])} is not finished yet."
        try:
            self._services.github.rerun(self._services.project, state.run)
        except ForbiddenError:  # GitHub repeats a run for 30 days, and 50 times
            return self._start(pull)
        return f"Measuring {render_markdown_code(state.head[:12])} again. The result goes into my comment and the check run."

    def _explained(self, architecture: str) -> str:
        names = self._names(architecture)
        shown = [self._explain(name) for name in names[:EXPLAINED]]
        more = (
            [f"{count(len(names) - EXPLAINED, 'more architecture')} not shown: name one of them to see it."]
            if len(names) > EXPLAINED
            else []
        )
        return "\n\n".join([*shown, *more])

    def _mute(self, *, muted: bool) -> str:
        comment = self._comment()
        if not comment or not comment.state:
            return "I have not commented here yet."
        state = replace(comment.state, muted=muted)
        self._thread.edit(comment.comment.id, MARKER.sign(comment.comment.body, state))
        if muted:
            return "I will not update my comment any more, only the check run. `/zero3 unmute` resumes the updates."
        return "I will update my comment with the next result. `/zero3 rerun` starts a run now."

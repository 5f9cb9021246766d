"""The conversation of a pull request or an issue: our comments in it, found by their author and a marker."""

from dataclasses import dataclass

from bot.github.client import GitHub
from bot.github.errors import ForbiddenError, NotFoundError, TooLongError
from bot.github.types import Comment


@dataclass(frozen=True)
class Thread:
    """The conversation of one pull request, or of an issue."""

    github: GitHub
    repository: str
    number: int

    def comments(self) -> list[Comment]:
        """Returns every comment; raises GitHubError."""
        return self.github.list_comments(self.repository, self.number)

    def holds(self, marker: str) -> bool:
        """Tests whether a comment of ours has `marker`; raises GitHubError."""
        return any(marker in one.body and one.is_by(self.github.login) for one in self.comments())

    def create(self, body: str, marker: str, *, shared: bool = False) -> Comment:
        """Writes a new comment. No other comment has its `marker`. Raises GitHubError.

        With `shared`, another job may write one with this marker at the same moment: the older one is kept.
        """
        return self.github.create_comment(self.repository, self.number, body, marker, shared=shared)

    def edit(self, comment: int, body: str) -> Comment:
        """Replaces the body of a comment; raises GitHubError."""
        return self.github.edit_comment(self.repository, comment, body)


def reply(thread: Thread, body: str, marker: str) -> str:
    """Writes `body` as a comment of its own, once for each `marker`; returns what happened, in words."""
    if thread.holds(marker):
        return "Replied already."
    try:
        return f"Replied: {thread.create(f'{body}{chr(10)}{marker}', marker).url}"
    except (ForbiddenError, NotFoundError, TooLongError) as error:
        return f"The reply could not be posted: {error}"

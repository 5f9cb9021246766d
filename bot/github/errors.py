"""The errors between the bot and GitHub: one class per cause, each with advice what to do."""

from typing import ClassVar

from matrix.errors import INFRASTRUCTURE, MatrixError


class GitHubError(MatrixError):
    """GitHub rejected a request, or its answer cannot be used. `doing` says what the bot tried to do."""

    exit_code = INFRASTRUCTURE
    advice: ClassVar[str] = "if https://www.githubstatus.com shows no problem, this is a bug in the bot: report it"

    def __init__(self, doing: str, said: str) -> None:
        self.said = said
        super().__init__(f"error from GitHub while {doing}: {said}; {self.advice}")


class RateLimitedError(GitHubError):
    """A primary or secondary rate limit lasts longer than the bot may wait."""

    advice = "nothing was lost: run this job again later. A GitHub App has the highest limits"


class WrongLoginError(GitHubError):
    """The bot wrote under another name than it expects: it would not find its comment, and write another each time."""

    advice = "set the variable ZERO3_LOGIN, or `login` in bot/settings.toml, to the account that wrote the comment"


class NotFoundError(GitHubError):
    """404 or 410: it does not exist, was deleted, or this token has no access to it."""

    advice = "check the name and the number. GitHub says the same when this token has no access"


class ForbiddenError(GitHubError):
    """403 without a rate limit: a locked conversation, a missing permission."""

    advice = "unlock the conversation, or give the token the permission that docs/install.md lists"


class TooLongError(GitHubError):
    """422 because a text is longer than GitHub accepts."""

    advice = "shorten it: GitHub accepts 65,536 characters, and the bot's own limit is lower"


class ExpiredTokenError(GitHubError):
    """401: the token has expired, was revoked, or never was one."""

    advice = "a job's token expires with the job, and an app's after an hour: run this job again, or renew the secret"


class UnreachableError(GitHubError):
    """5xx, a timeout or a dropped connection, in every try. A write may or may not have arrived."""

    advice = "see https://www.githubstatus.com, then run this job again: the bot does not write anything twice"


class TooLargeError(GitHubError):
    """An artifact is larger than the limit of the bot."""

    advice = "an artifact may only hold what the comparison job writes"

"""What can go wrong between the bot and GitHub: one class per cause, each with what to do next."""

from typing import ClassVar

from matrix.errors import INFRASTRUCTURE, MatrixError


class GitHubError(MatrixError):
    """GitHub said no, or something that the bot cannot go on from. `doing` says what the bot was about to do."""

    exit_code = INFRASTRUCTURE
    advice: ClassVar[str] = "if https://www.githubstatus.com has nothing on it, this is a bug of the bot: report it"

    def __init__(self, doing: str, said: str) -> None:
        self.said = said
        super().__init__(f"GitHub, {doing}: {said}; {self.advice}")


class RateLimitedError(GitHubError):
    """A rate limit, primary or secondary, ends later than the bot may wait."""

    advice = "nothing was lost, run this job again later; a GitHub App has the highest limits"


class WrongLoginError(GitHubError):
    """What the bot wrote is not from who it takes itself for: it would not find it again, and write it anew each time."""

    advice = "set the variable ZERO3_LOGIN, or `login` in bot/settings.toml, to the name that the comment has"


class NotFoundError(GitHubError):
    """404 or 410: no such thing, a deleted one, or one that this token may not know of."""

    advice = "check the name and number; a private or deleted one looks the same to a token without access"


class ForbiddenError(GitHubError):
    """403 that is no rate limit: a locked conversation, a missing permission."""

    advice = "unlock the conversation, or give the token the permission that docs/install.md lists"


class TooLongError(GitHubError):
    """422 because a text is longer than GitHub takes."""

    advice = "shorten it: GitHub takes 65,536 characters, the bot's own limit is lower"


class ExpiredTokenError(GitHubError):
    """401: the token has expired, was revoked, or never was one."""

    advice = (
        "a job's token ends with the job and an installation's after an hour: run this job again, or renew the secret"
    )


class UnreachableError(GitHubError):
    """5xx, a timeout or a dropped connection, again and again. A write may or may not have arrived."""

    advice = "see https://www.githubstatus.com, then run this job again: the bot finds what it had already written"


class TooLargeError(GitHubError):
    """An artifact is larger than the bot is willing to read."""

    advice = "only what the duel writes belongs into its artifact"

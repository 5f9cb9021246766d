"""The retry policy: how long the bot waits for GitHub and how often it asks again. Knows failures, not requests.

PyGithub's own retries are switched off: they repeat POST but never PATCH, sleep for as long as a header says, and miss
a 429 without Retry-After. Here every wait is GitHub's rule, within a bound:
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#handle-rate-limit-errors-appropriately
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from github.GithubException import BadAttributeException, GithubException
from github.Requester import Requester
from requests import RequestException

from bot.github.errors import (
    ExpiredTokenError,
    ForbiddenError,
    GitHubError,
    NotFoundError,
    RateLimitedError,
    TooLongError,
    UnreachableError,
)
from matrix.text import join_lines

T = TypeVar("T")

_SECONDARY_WAIT = 60.0
"""GitHub asks for at least a minute after a secondary limit without a header, then exponentially more."""

_CLASSES: dict[int, type[GitHubError]] = {
    401: ExpiredTokenError,
    403: ForbiddenError,
    404: NotFoundError,
    410: NotFoundError,
}
_TOO_LONG = ("too long", "characters are allowed")


class StaleReadError(Exception):
    """GitHub still shows what was there before a write: a replica lags behind, or the write was dropped silently."""


_Failure = GithubException | RequestException | StaleReadError
_FAILURES = (GithubException, RequestException, StaleReadError)
_BEYOND_UNDERSTANDING = (
    AssertionError,
    AttributeError,
    BadAttributeException,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Errors of PyGithub for an answer that is not GitHub's: a page link to another host, HTML, truncated JSON."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long to try: seconds, `longest` for one wait, `budget` for all waits of one client together.

    `pause` is between two writes, as GitHub asks for. `clock` gives seconds since the epoch.
    """

    attempts: int = 5
    longest: float = 120.0
    budget: float = 600.0
    pause: float = 1.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time


class Retries:
    """Applies a `RetryPolicy` to one request after another and counts the seconds spent."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._spent = 0.0
        self._written = 0.0

    def call(self, doing: str, request: Callable[[], T], *, repeatable: bool = True) -> T:
        """Returns the result of `request`, which is repeated after a failure that may pass.

        With `repeatable` false it is only repeated when GitHub certainly rejected it. Raises a GitHubError.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return request()
            except _FAILURES as failure:
                self._wait(doing, failure, attempt, repeatable=repeatable)
            except _BEYOND_UNDERSTANDING as error:
                raise GitHubError(doing, f"the answer is not valid ({type(error).__name__})") from error

    def before_write(self) -> None:
        """Waits until `pause` seconds have passed since the last write."""
        pause = self._written + self._policy.pause - self._policy.clock()
        if pause > 0:
            self._policy.sleep(pause)
        self._written = self._policy.clock()

    def _wait(self, doing: str, failure: _Failure, attempt: int, *, repeatable: bool) -> None:
        limited = _limited(failure)
        worth_it = limited or (repeatable and _may_pass(failure))
        wait = self._seconds(failure, attempt)
        too_long = wait > self._policy.longest or self._spent + wait > self._policy.budget
        if not worth_it or too_long or attempt >= self._policy.attempts:
            # Without its cause: a traceback would show headers and signed addresses in a public log.
            raise to_github_error(doing, failure, wait if limited else 0.0) from None
        self._spent += wait
        self._policy.sleep(wait)

    def _seconds(self, failure: _Failure, attempt: int) -> float:
        headers = _headers(failure)
        # Retry-After first: a secondary limit sends it while the hourly quota still has requests left.
        if headers.get("retry-after", "").isdigit():
            return float(headers["retry-after"])
        if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdigit():
            return max(0.0, float(headers["x-ratelimit-reset"]) - self._policy.clock()) + 1
        first = _SECONDARY_WAIT if _limited(failure) else 1.0
        return first * 2.0 ** (attempt - 1)


def to_github_error(doing: str, failure: _Failure, wait: float = 0.0) -> GitHubError:
    """Returns `failure` in our words, as the class of its cause; `wait` is what a rate limit asked for.

    It holds no address and no header: those of an artifact are signed, and a header may hold the token.
    """
    if isinstance(failure, StaleReadError):
        return GitHubError(doing, "GitHub does not show what was written")
    if isinstance(failure, RequestException):
        return UnreachableError(doing, f"no answer ({type(failure).__name__})")
    said = f"{_message(failure)} ({failure.status})"
    if _limited(failure):
        return RateLimitedError(doing, f"{said}; the limit ends in {wait:.0f} seconds")
    if failure.status >= 500:
        return UnreachableError(doing, said)
    if failure.status == 422 and any(words in said.lower() for words in _TOO_LONG):
        return TooLongError(doing, said)
    return _CLASSES.get(failure.status, GitHubError)(doing, said)


def _may_pass(failure: _Failure) -> bool:
    return not isinstance(failure, GithubException) or failure.status >= 500


def _limited(failure: _Failure) -> bool:
    """Tests for a rate limit: 429 always is one, 403 when it says so in a header or in words."""
    if not isinstance(failure, GithubException) or failure.status not in {403, 429}:
        return False
    headers = _headers(failure)
    marked = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    return failure.status == 429 or marked or Requester.isRateLimitError(_message(failure))


def _headers(failure: _Failure) -> dict[str, str]:
    return (failure.headers or {}) if isinstance(failure, GithubException) else {}


def _message(failure: GithubException) -> str:
    data = failure.data if isinstance(failure.data, dict) else {}
    errors = [error.get("message", "") if isinstance(error, dict) else error for error in data.get("errors") or ()]
    said = " ".join([data.get("message") or "no reason given", *(str(error) for error in errors)])
    return join_lines(said)[:300]

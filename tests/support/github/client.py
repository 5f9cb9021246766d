"""The bot's GitHub client on a test server, with a clock that nobody waits for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from github import Auth

from bot.github.client import GitHub
from bot.github.retries import RetryPolicy
from tests.support.github.faults import Fault
from tests.support.github.server import GitHubServer, serving
from tests.support.github.state import BOT, Pull, Repository, State

NAME = "huggingface/transformers"


@dataclass
class Clock:
    """Seconds since the epoch; sleeping moves it on and is remembered."""

    now: float = 1_700_000_000.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def time(self) -> float:
        return self.now

    def policy(self, attempts: int = 4, longest: float = 120.0, budget: float = 600.0) -> RetryPolicy:
        return RetryPolicy(attempts, longest, budget, pause=0.0, sleep=self.sleep, clock=self.time)


def one_pull(**values: object) -> State:
    """A state with one repository, which holds pull request 5 and `values`."""
    return State([Repository(NAME, pulls=[Pull(5)], **values)])  # type: ignore[arg-type]


@contextmanager
def opened(
    state: State, *faults: Fault, policy: RetryPolicy | None = None, auth: Auth.Auth | None = None
) -> Iterator[tuple[GitHubServer, GitHub]]:
    """Yields the server and a client of it. Fails when an exchange is not in GitHub's description."""
    with serving(state, faults) as server:
        token = auth or Auth.Token("ghp_secret")
        yield server, GitHub(token, server.url, policy or Clock().policy(), login=BOT)
    assert not server.violations, "\n".join(server.violations[:9])

"""Finds upstream pull requests that touch loading code by polling, and measures them in this project's repository.

Nothing has to be installed upstream. This project's tracking issue keeps how far each repository is assessed; a cursor
never moves past a pull request that was not assessed, or not started although it should be.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from bot.github.client import GitHub
from bot.github.errors import GitHubError, NotFoundError, UnreachableError
from bot.github.types import Change, Comment, PullRequest
from bot.pull_requests.services import Services
from bot.pull_requests.tracking_issue import MARKER, TITLE, Cursor, TrackedResult, TrackingState, render_tracking_issue
from bot.settings import Budget
from bot.text import count

FIRST: Final = timedelta(days=1)
"""How far back a repository is assessed the first time."""

Assess = Callable[[Change], object]
"""Tests whether a change touches loading code: `bot.pull_requests.assess.assess_change`, falsy when it does not."""


@dataclass(frozen=True)
class Watched:
    """The result of a watch run in one repository: pull requests assessed, those started, and what stopped it."""

    repository: str
    assessed: int
    started: tuple[int, ...]
    problem: str = ""

    def __str__(self) -> str:
        numbers = f" ({', '.join(map(str, self.started))})" if self.started else ""
        done = f"{self.repository}: {count(self.assessed, 'pull request')} assessed, {len(self.started):,} started{numbers}"
        return f"{done}; {self.problem}" if self.problem else done


@dataclass(frozen=True)
class _Step:
    """How far a watch run is: one more pull request was `assessed`, and `started` if it touches loading code."""

    cursor: Cursor
    assessed: bool = False
    started: PullRequest | None = None


class _WatchRun:
    """One watch run and the rest of its budget; requests are counted by what each call costs when all goes well."""

    def __init__(self, services: Services, budget: Budget, assess: Assess) -> None:
        self._services, self._assess = services, assess
        self._pull_requests = budget.pull_requests
        self._dispatches = budget.dispatches
        self._requests = budget.requests

    def steps(self, repository: str, cursor: Cursor) -> Iterator[_Step]:
        """Assesses what was updated since `cursor`, the oldest first, as far as the budget goes; raises GitHubError."""
        if self._spent:
            return
        self._requests -= 1
        found = self._services.github.list_pull_requests_since(repository, cursor.since, self._pull_requests)
        for updated, pulls in groupby(found, key=lambda pull: pull.updated):
            for pull in pulls:
                if cursor.knows(pull):  # only a comment or a label is new
                    continue
                started = self._started(pull)
                if started is None:
                    return
                cursor = cursor.with_head(pull)
                yield _Step(cursor, assessed=True, started=pull if started else None)
            cursor = replace(cursor, since=updated)
            yield _Step(cursor)

    def _started(self, pull: PullRequest) -> bool | None:
        """Returns whether the pull request is being measured now; None where the budget ends before that is known or done."""
        if self._spent:
            return None
        if not self._touches(pull):
            return False
        # Not False: the cursor must not pass a pull request that should still be measured.
        if self._dispatches <= 0:
            return None
        self._services.start_run(pull)
        self._dispatches -= 1
        return True

    @property
    def _spent(self) -> bool:
        return self._pull_requests <= 0 or self._requests <= 0

    def _touches(self, pull: PullRequest) -> bool:
        self._pull_requests -= 1
        self._requests -= 2
        try:
            change = self._services.github.fetch_change(pull)
        except NotFoundError:  # closed and gone since it was listed
            return False
        except UnreachableError:  # GitHub cannot make every very large diff; uncertain means run
            return True
        self._requests -= change.total // 100
        return bool(self._assess(change))


def watch(services: Services, assess: Assess, now: datetime) -> tuple[Watched, ...]:
    """Assesses what is new in every watched repository, the one that waited longest first.

    An error of GitHub for one repository is in its result. Raises GitHubError when the tracking issue cannot be
    read or written: without it the next run would start everything again.
    """
    first = Cursor((now - FIRST).strftime("%Y-%m-%dT%H:%M:%SZ"))
    cursors = dict.fromkeys(services.settings.watch, first) | dict(
        read_state(services.github, services.project).cursors
    )
    # Else the repository that is listed first would use up the budget of every run.
    order = sorted(services.settings.watch, key=lambda repository: cursors[repository].since)
    run = _WatchRun(services, services.settings.budget, assess)
    return tuple(_follow(services, run, repository, cursors[repository]) for repository in order)


def _follow(services: Services, run: _WatchRun, repository: str, cursor: Cursor) -> Watched:
    taken: list[_Step] = []
    problem = ""
    try:
        for step in run.steps(repository, cursor):
            taken.append(step)
            if step.started:
                _save(services, repository, step.cursor)  # at once: what is started twice is paid twice
    except GitHubError as error:
        problem = str(error)
    _save(services, repository, taken[-1].cursor if taken else cursor)
    started = tuple(step.started.number for step in taken if step.started)
    return Watched(repository, sum(step.assessed for step in taken), started, problem)


def _save(services: Services, repository: str, cursor: Cursor) -> None:
    update_state(services.github, services.project, lambda state: state.with_cursor(repository, cursor))


def list_result(services: Services, entry: TrackedResult) -> str:
    """Puts a result into the tracking issue and returns where it is; raises GitHubError. May be repeated at will."""
    number = update_state(services.github, services.project, lambda state: state.with_entry(entry))
    return f"Listed in issue {number} of {services.project}"


def read_state(github: GitHub, project: str) -> TrackingState:
    """Reads the state of the tracking issue; an empty one where there is none, or somebody has spoilt its marker."""
    return _state(github.find_issue(project, MARKER.start))


def _state(issue: Comment | None) -> TrackingState:
    return (MARKER.parse(issue.body) if issue else None) or TrackingState()


def update_state(github: GitHub, project: str, change: Callable[[TrackingState], TrackingState]) -> int:
    """Changes the state of the tracking issue, from the one it has at this moment; returns the number of the issue."""
    issue = github.find_issue(project, MARKER.start)
    body = render_tracking_issue(change(_state(issue)))
    if issue is None:
        return github.create_issue(project, TITLE, body, MARKER.start)
    if body != issue.body:
        github.edit_issue(project, issue.id, body)
    return issue.id

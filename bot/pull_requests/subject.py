"""Finds the pull request of a workflow run from GitHub's data only, never from the run's artifacts.

A run of a fork lists no pull requests (https://github.com/actions/runner/issues/3444) and a commit of a fork belongs to
none, so the pull request is looked for by its branch, and must be the only one.

PURE: no input or output.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from bot.github.types import PullRequest, WorkflowRun

_DISPATCHED: Final = re.compile(
    r"zero3 ([A-Za-z0-9][\w-]{0,99}/[\w.-]{1,100})#([1-9][0-9]{0,9}) ([0-9a-f]{40}) ([0-9a-f]{40})"
    r"(?: ([\w:.*?!\[\] -]{0,1100}))?",
    re.ASCII,
)
"""The title of a dispatched run: pull request, base, head and, where it measures only some architectures, their globs."""

_NOTHING_RAN: Final = frozenset({"action_required", "skipped", "startup_failure", "stale"})


class PullRequests(Protocol):
    """The part of `bot.github.client.GitHub` that finds pull requests."""

    def fetch_pull_request(self, repository: str, number: int) -> PullRequest:
        """Returns the current state of a pull request."""

    def list_pull_requests_from(self, repository: str, owner: str, branch: str) -> Sequence[PullRequest]:
        """Returns the open pull requests whose head is `branch` of a repository of `owner`."""


@dataclass(frozen=True)
class MeasuringWorkflow:
    """The workflow that measures pull requests: the repository that it runs in, its file, and the branch we trust."""

    repository: str
    path: str = ".github/workflows/pull-request.yml"
    trusted_branch: str = "main"


@dataclass(frozen=True)
class Ignored:
    """Why a run is not reported anywhere, in words."""

    reason: str


def find_subject(run: WorkflowRun, github: PullRequests, workflow: MeasuringWorkflow) -> PullRequest | Ignored:
    """Returns the current state of the pull request that `run` measured, or why nothing may be said about one.

    Called again just before something is posted, it notices a head that has moved meanwhile. Of a dispatched run `base`
    is the commit that was measured. Raises what `github` raises.
    """
    if not _runs(run, workflow.path):
        return Ignored("it is a run of another workflow")
    if not run.conclusion or run.conclusion in _NOTHING_RAN:
        return Ignored("it has not finished, or none of its jobs ran")
    if run.event == "pull_request":
        return _by_branch(run, github, workflow)
    if run.event == "workflow_dispatch":
        return _dispatched(run, github, workflow)
    return Ignored("its event does not measure a pull request")


def parse_selector(run: WorkflowRun) -> tuple[str, ...]:
    """Returns the globs that a dispatched run was narrowed to, from its title: trust them as far as `find_subject` does."""
    named = _DISPATCHED.fullmatch(run.title) if run.event == "workflow_dispatch" else None
    return tuple((named[5] or "").split()) if named else ()


def _runs(run: WorkflowRun, path: str) -> bool:
    """Tests whether `path` is the run's file, alone or before `@` and the branch, as in GitHub's own examples.

    A branch called like a workflow file could make another file's path look so.
    """
    return run.path == path or (
        run.path == f"{path}@{run.head_branch}" and not run.head_branch.endswith((".yml", ".yaml"))
    )


def _by_branch(run: WorkflowRun, github: PullRequests, workflow: MeasuringWorkflow) -> PullRequest | Ignored:
    if not (run.head_repository and run.head_repository_id and run.head_branch):
        return Ignored("the repository of its branch no longer exists")
    owner = run.head_repository.partition("/")[0]
    listed = github.list_pull_requests_from(workflow.repository, owner, run.head_branch)
    # By the repository's id: a fork can be renamed, and another one can take its name.
    from_there = [
        pull
        for pull in listed
        if pull.open
        and pull.head.repository_id == run.head_repository_id
        and pull.base.repository.lower() == workflow.repository.lower()
    ]
    found = [pull for pull in from_there if pull.head.sha == run.head_sha]
    if len(found) == 1:
        return _now(github, found[0].repository, found[0].number, run.head_sha)
    if found:
        return Ignored(f"{len(found)} pull requests have its commit as head")
    return Ignored(
        "the pull request has another head commit now" if from_there else "no open pull request has its commit as head"
    )


def _dispatched(run: WorkflowRun, github: PullRequests, workflow: MeasuringWorkflow) -> PullRequest | Ignored:
    """Its title comes from the workflow file and inputs of somebody who may write, when both are of our own branch."""
    own = (run.head_repository.lower(), run.head_branch) == (workflow.repository.lower(), workflow.trusted_branch)
    named = _DISPATCHED.fullmatch(run.title)
    if not own or named is None:
        return Ignored("it was started from another branch, or not for a pull request")
    found = _now(github, named[1], int(named[2]), named[4])
    return found if isinstance(found, Ignored) else replace(found, base=replace(found.base, sha=named[3]))


def _now(github: PullRequests, repository: str, number: int, sha: str) -> PullRequest | Ignored:
    pull = github.fetch_pull_request(repository, number)
    if not pull.open:
        return Ignored("the pull request is closed")
    return pull if pull.head.sha == sha else Ignored("the pull request has another head commit now")

"""The reading half of the GitHub client.

Every call may raise a `bot.github.errors.GitHubError`. A repository is looked up once: when it has moved, GitHub redirects,
and PyGithub then loses the query of a GET, and takes the redirect of a write for success.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from itertools import takewhile
from typing import TypeVar
from urllib.parse import quote

from github import Auth, Github
from github.Artifact import Artifact
from github.GithubObject import GithubObject
from github.PaginatedList import PaginatedList
from github.PullRequest import PullRequest as GitHubPullRequest
from github.Repository import Repository
from github.WorkflowJob import WorkflowJob

from bot.github import convert
from bot.github.artifact_download import download_zip
from bot.github.errors import NotFoundError
from bot.github.retries import Retries, RetryPolicy
from bot.github.types import (
    ArtifactInfo,
    Change,
    Comment,
    CommitComparison,
    JobResult,
    PullRequest,
    Workflow,
    WorkflowRun,
)

T = TypeVar("T")
G = TypeVar("G", bound=GithubObject)

API_VERSION = "2022-11-28"
TIMEOUT = 30
_POLICY = RetryPolicy()
COMPARED_FILES = 300
"""How many files GitHub lists of a comparison of two commits."""
_ROLES = frozenset({"admin", "maintain", "write", "triage", "read", "none"})

# Its debug log quotes the answer that holds a new installation token.
logging.getLogger("github.Requester").setLevel(logging.INFO)


class GitHubReader:
    """GitHub as the account `login` sees it. `auth` is a token's, or a GitHub App installation's: that renews itself."""

    def __init__(
        self,
        auth: Auth.Auth,
        base_url: str = "https://api.github.com",
        policy: RetryPolicy = _POLICY,
        *,
        login: str,
    ) -> None:
        self.login = login
        self._retries = Retries(policy)
        self._github = Github(
            auth=auth,
            base_url=base_url,
            timeout=TIMEOUT,
            user_agent="zero3-matrix",
            per_page=100,
            retry=0,
            seconds_between_requests=None,
            seconds_between_writes=None,
            lazy=True,
            api_version=API_VERSION,
        )
        self._repository: Callable[[str], Repository] = cache(self._look_up)
        self._pull: Callable[[str, int], GitHubPullRequest] = cache(self._lazy_pull)

    def fetch_pull_request(self, repository: str, number: int) -> PullRequest:
        """Fetches a pull request; an unchanged one costs nothing of the rate limit."""
        pull = self._pull(repository, number)
        doing = f"reading {repository}#{number}"
        self._retries.call(doing, pull.update)
        return self._retries.call(doing, lambda: convert.pull_request(pull, pull.changed_files))

    def list_pull_requests_from(self, repository: str, owner: str, branch: str) -> list[PullRequest]:
        """Returns the open pull requests whose head is `branch` of a repository of `owner`."""
        pulls = self._repository(repository).get_pulls(state="open", head=f"{owner}:{branch}")
        return self._all(f"looking for pull requests of {repository}", pulls, convert.pull_request)

    def list_pull_requests_since(self, repository: str, since: str, limit: int) -> list[PullRequest]:
        """Returns the open pull requests updated after `since` (ISO), the oldest update first.

        About `limit` of them: those updated in the same second are never separated, so that the last one's
        `updated` can be the next `since`.
        """
        since = convert.moment(datetime.fromisoformat(since).astimezone(UTC))
        pulls = self._repository(repository).get_pulls(state="open", sort="updated", direction="desc")

        def read() -> list[PullRequest]:
            return list(takewhile(lambda pull: pull.updated > since, map(convert.pull_request, pulls)))

        newest_first = self._retries.call(f"looking for new pull requests of {repository}", read)
        # Pages move while they are read: one pull request can be on two of them.
        found = list({pull.number: pull for pull in reversed(newest_first)}.values())
        return [pull for pull in found if pull.updated <= found[min(limit, len(found)) - 1].updated]

    def fetch_change(self, pull_request: PullRequest) -> Change:
        """Fetches the change of a pull request. GitHub lists 3,000 files at most; `total` counts all."""
        repository, number = pull_request.repository, pull_request.number
        files = self._repository(repository).get_pull(number).get_files()
        listed = self._all(f"reading the files of {repository}#{number}", files, convert.changed_file)
        # A pull request from a listing has no count: it has to be fetched by itself.
        total = pull_request.changed_files or self.fetch_pull_request(repository, number).changed_files
        return Change(repository, tuple(listed), total)

    def compare_commits(self, repository: str, base: str, head: str) -> CommitComparison:
        """Compares the commit where `head`, also one of a fork, branched off from `base`, with `head`."""
        repo = self._repository(repository)

        def read() -> CommitComparison:
            found = repo.compare(base, head, comparison_commits_per_page=1)
            files = tuple(map(convert.changed_file, found.files))
            whole = len(files) < COMPARED_FILES
            return CommitComparison(found.merge_base_commit.sha, Change(repository, files, len(files)), whole)

        return self._retries.call(f"comparing {base[:12]} with {head[:12]} of {repository}", read)

    def list_comments(self, repository: str, number: int) -> list[Comment]:
        """Returns every comment of a pull request or issue, the oldest first."""
        comments = self._repository(repository).get_issue(number).get_comments()
        return self._all(f"reading the comments of {repository}#{number}", comments, convert.comment)

    def fetch_workflow_run(self, repository: str, run: int) -> WorkflowRun:
        """Fetches a workflow run in its present attempt."""
        found = self._repository(repository).get_workflow_run(run)
        return self._retries.call(
            f"reading workflow run {run} of {repository}", lambda: convert.workflow_run(found.complete())
        )

    def find_workflow(self, repository: str, file: str) -> Workflow | None:
        """Returns the workflow in a file of that name; None where the repository has none."""
        found = self._repository(repository).get_workflow(file)
        doing = f"looking for the workflow {file} of {repository}"
        try:
            return self._retries.call(doing, lambda: convert.workflow(found.complete()))
        except NotFoundError:
            return None

    def list_jobs(self, repository: str, run: int, attempt: int) -> list[JobResult]:
        """Returns every job of one attempt of a workflow run."""
        repo = self._repository(repository)
        url = f"{repo.url}/actions/runs/{run}/attempts/{attempt}/jobs"
        listed = PaginatedList(WorkflowJob, repo.requester, url, list_item="jobs")
        return self._all(f"reading the jobs of workflow run {run} of {repository}", listed, convert.job)

    def list_artifacts(self, repository: str, run: int) -> list[ArtifactInfo]:
        """Returns every artifact of a workflow run."""
        repo = self._repository(repository)
        listed = PaginatedList(
            Artifact, repo.requester, f"{repo.url}/actions/runs/{run}/artifacts", list_item="artifacts"
        )
        return self._all(f"reading the artifacts of workflow run {run} of {repository}", listed, convert.artifact)

    def download_artifact(self, repository: str, artifact: int, limit: int) -> bytes:
        """Downloads the zip archive of an artifact. Raises TooLargeError beyond `limit` bytes."""
        repo = self._repository(repository)
        url = f"{repo.url}/actions/artifacts/{artifact}/zip"
        return self._retries.call(
            f"downloading artifact {artifact} of {repository}", lambda: download_zip(repo.requester, url, limit)
        )

    def fetch_permission(self, repository: str, user: str) -> str:
        """Returns the permission of `user`: admin, maintain, write, triage, read or none; a custom role counts as its base."""
        repo = self._repository(repository)
        url = f"{repo.url}/collaborators/{quote(user, safe='')}/permission"

        def read() -> str:
            values = repo.requester.requestJsonAndCheck("GET", url)[1]
            return str(values["role_name"] if values.get("role_name") in _ROLES else values["permission"])

        try:
            return self._retries.call(f"reading the permission of {user} on {repository}", read)
        except NotFoundError:
            return "none"

    def fetch_tip(self, repository: str) -> str:
        """Returns the newest commit of the default branch."""
        repo = self._repository(repository)

        def read() -> str:
            return str(repo.requester.requestJsonAndCheck("GET", f"{repo.url}/commits/HEAD")[1]["sha"])

        return self._retries.call(f"looking for the newest commit of {repository}", read)

    def find_issue(self, repository: str, marker: str, *, closed: bool = False) -> Comment | None:
        """Returns the oldest issue of ours whose text holds `marker`, among `closed` ones too; its id is the issue's number."""
        state = "all" if closed else "open"
        issues = self._repository(repository).get_issues(state=state, sort="created", direction="asc")
        return self._own(self._all(f"reading the issues of {repository}", issues, convert.issue), marker)

    def _look_up(self, repository: str) -> Repository:
        return self._retries.call(f"looking for {repository}", self._github.get_repo(repository).complete)

    def _lazy_pull(self, repository: str, number: int) -> GitHubPullRequest:
        return self._repository(repository).get_pull(number)

    def _all(self, doing: str, listed: PaginatedList[G], converted: Callable[[G], T]) -> list[T]:
        """Returns all pages; a second try goes on from the page that failed."""
        return self._retries.call(doing, lambda: [converted(each) for each in listed])

    def _own(self, written: list[Comment], marker: str) -> Comment | None:
        return next((each for each in written if each.author == self.login and marker in each.body), None)

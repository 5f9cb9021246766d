"""The only door to HTTP: what the bot asks of GitHub, and what it writes there, through PyGithub.

Every call may raise a `bot.github.errors.GitHubError`. Every write can be repeated: what an earlier try did is found first.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from github import Auth
from github.CheckRun import CheckRun as GitHubCheckRun
from github.GithubObject import NotSet
from github.IssueComment import IssueComment
from github.Repository import Repository

from bot.github import convert
from bot.github.actions import Context
from bot.github.errors import NotFoundError, WrongLoginError
from bot.github.reader import GitHubReader
from bot.github.retries import StaleReadError
from bot.github.types import CheckRun, Comment

APP_PERMISSIONS: Final = {
    "actions": "write",
    "checks": "write",
    "contents": "read",
    "issues": "write",
    "pull_requests": "write",
}
"""What a token of the app may do: PyGithub asks for nothing at all unless it is told what to ask for."""


class GitHub(GitHubReader):
    """GitHub as the account `login`, with everything the bot writes."""

    def create_comment(self, repository: str, number: int, body: str, marker: str) -> Comment:
        """A new comment, never two: before a second try the first is looked for.

        `marker` is a part of `body` that no earlier comment of ours holds.
        """
        repo = self._repository(repository)

        def post() -> Comment:
            return convert.comment(repo.get_issue(number).create_comment(body))

        def find() -> Comment | None:
            return self._own(self.comments(repository, number), marker)

        def withdraw(comment: Comment) -> None:
            _comment(repo, comment.id).delete()

        return self._create(f"commenting on {repository}#{number}", post, find, withdraw)

    def edit_comment(self, repository: str, comment: int, body: str) -> Comment:
        """Replace the text of a comment, and read it back. Raises a GitHubError when GitHub shows another text."""
        repo = self._repository(repository)

        def edit() -> Comment:
            self._waiting.before_write()
            _comment(repo, comment).edit(body)
            return _held(convert.comment(_comment(repo, comment).complete()), body)

        return self._waiting.call(f"editing comment {comment} of {repository}", edit)

    def put_check_run(self, repository: str, check: CheckRun) -> str:
        """Create the check run, or update the one of the same name and external id. Returns its address."""
        repo, doing = self._repository(repository), f"writing the check run of {repository}@{check.head_sha}"

        def write() -> str:
            self._waiting.before_write()
            return _write_check_run(repo, check)

        steps = max(1, math.ceil(len(check.annotations) / convert.ANNOTATIONS))
        return [self._waiting.call(doing, write) for _ in range(steps)][-1]

    def rerun(self, repository: str, run: int) -> None:
        """Run every job of a finished workflow run again, once."""
        repo, before = self._repository(repository), self.workflow_run(repository, run).attempt

        def post() -> None:
            if repo.get_workflow_run(run).run_attempt == before:
                self._waiting.before_write()
                repo.requester.requestJsonAndCheck("POST", f"{repo.url}/actions/runs/{run}/rerun")

        self._waiting.call(f"rerunning workflow run {run} of {repository}", post)

    def dispatch(self, repository: str, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Start `workflow` (its file's name) at `ref`.

        Sent again only when GitHub certainly refused it: nothing tells a second run from the first.
        """
        found = self._repository(repository).get_workflow(workflow)

        def post() -> None:
            self._waiting.before_write()
            found.create_dispatch(ref, dict(inputs), throw=True)

        self._waiting.call(f"starting {workflow} of {repository}", post, repeatable=False)

    def create_issue(self, repository: str, title: str, body: str, marker: str) -> int:
        """The number of a new issue, never two: before a second try the first is looked for by `marker`.

        Where somebody else opened one of ours in the same moment, the older of them is the one.
        """
        repo = self._repository(repository)

        def post() -> Comment:
            return convert.issue(repo.create_issue(title, body))

        def find() -> Comment | None:
            return self.issue_with(repository, marker)

        def withdraw(issue: Comment) -> None:
            repo.get_issue(issue.id).edit(state="closed", state_reason="not_planned")

        doing = f"opening an issue in {repository}"
        created = self._create(doing, post, find, withdraw)
        first = find() or created
        if first.id != created.id:
            self._waiting.call(doing, lambda: withdraw(created))
        return first.id

    def edit_issue(self, repository: str, number: int, body: str, state: str = "") -> None:
        """Replace the text of an issue, and read it back: GitHub drops one that is too long without a word.

        `state` opens or closes it as well: `open` or `closed`.
        """
        repo = self._repository(repository)

        def edit() -> None:
            self._waiting.before_write()
            repo.get_issue(number).edit(body=body, state=state or NotSet)
            written = _held(convert.issue(repo.get_issue(number).complete()), body)
            if state and written.open is not (state == "open"):
                raise StaleReadError

        self._waiting.call(f"editing {repository}#{number}", edit)

    def _create(
        self,
        doing: str,
        post: Callable[[], Comment],
        find: Callable[[], Comment | None],
        withdraw: Callable[[Comment], None],
    ) -> Comment:
        """What `post` made, or what an earlier try made although its answer was lost.

        Should that one only show up after a second `post`, the second is withdrawn.
        """
        tried = False

        def attempt() -> Comment:
            nonlocal tried
            again, tried = tried, True
            if again and (found := find()):
                return found
            self._waiting.before_write()
            created = post()
            if created.author.lower() != self.login.lower():
                raise WrongLoginError(doing, f"it was written as {created.author!r}, not as {self.login!r}")
            first = (find() if again else None) or created
            if first.id != created.id:
                with suppress(NotFoundError):
                    self._waiting.call(doing, lambda: withdraw(created))
            return first

        return self._waiting.call(doing, attempt)


def _comment(repo: Repository, comment: int) -> IssueComment:
    """A comment of which nothing is read yet."""
    return IssueComment(repo.requester, url=f"{repo.url}/issues/comments/{comment}")


def _held(written: Comment, body: str) -> Comment:
    """`written`, when it holds `body`. GitHub may change line ends."""
    if written.body.split() != body.split():
        raise StaleReadError
    return written


def _write_check_run(repo: Repository, check: CheckRun) -> str:
    """Creates the check run, or adds the next annotations to it. Returns its address.

    GitHub adds the annotations of every update to those there are, so each step first asks how many arrived: a step
    can be repeated after its answer was lost.
    """
    found = _find_check_run(repo, check)
    there = found.output.annotations_count if found else 0
    if found is None:
        found = repo.create_check_run(check.name, check.head_sha, **convert.check_run_values(check, there))
    else:
        found.edit(**convert.check_run_values(check, there))
    return found.html_url


def _find_check_run(repo: Repository, check: CheckRun) -> GitHubCheckRun | None:
    named = repo.get_commit(check.head_sha).get_check_runs(check_name=check.name, filter="all")
    return next((run for run in named if (run.external_id or "") == check.external_id), None)


def connect(context: Context, login: str) -> GitHub:
    """Returns the client of the app, where one is set up, else of the token's account; `login` is its usual name."""
    login = context.login or login
    if context.app:
        app = Auth.AppAuth(context.app, context.app_key)
        return GitHub(app.get_installation_auth(context.installation, APP_PERMISSIONS), context.api_url, login=login)
    return GitHub(Auth.Token(context.token), context.api_url, login=login)

"""The GitHub client, with everything that the bot writes; the only door to the API, through PyGithub.

Every call may raise a `bot.github.errors.GitHubError`. Every write can be repeated: it first looks for the effect of an
earlier try.
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
from bot.github.actions import JobContext
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
"""Permissions of a token of the app: PyGithub asks for none by default."""


class GitHub(GitHubReader):
    """GitHub as the account `login`, with everything the bot writes."""

    def create_comment(self, repository: str, number: int, body: str, marker: str, *, shared: bool = False) -> Comment:
        """Writes a new comment, never two: before a second try it looks for the first.

        `marker` is a part of `body` that no earlier comment of ours holds. With `shared`, other jobs of ours may write
        one with this marker at the same moment: the oldest one is kept and returned, and the newer one deleted.
        """
        repo = self._repository(repository)

        def post() -> Comment:
            return convert.comment(repo.get_issue(number).create_comment(body))

        def find() -> Comment | None:
            return self._own(self.list_comments(repository, number), marker)

        def withdraw(comment: Comment) -> None:
            _comment(repo, comment.id).delete()

        return (self._create_only if shared else self._create)(
            f"commenting on {repository}#{number}", post, find, withdraw
        )

    def edit_comment(self, repository: str, comment: int, body: str) -> Comment:
        """Replaces the text of a comment, and reads it back. Raises a GitHubError when GitHub shows another text."""
        repo = self._repository(repository)

        def edit() -> Comment:
            self._retries.before_write()
            _comment(repo, comment).edit(body)
            return _held(convert.comment(_comment(repo, comment).complete()), body)

        return self._retries.call(f"editing comment {comment} of {repository}", edit)

    def put_check_run(self, repository: str, check: CheckRun) -> str:
        """Creates the check run, or updates the one of the same name and external id. Returns its address."""
        repo, doing = self._repository(repository), f"writing the check run of {repository}@{check.head_sha}"

        def write() -> str:
            self._retries.before_write()
            return _write_check_run(repo, check)

        steps = max(1, math.ceil(len(check.annotations) / convert.ANNOTATIONS))
        return [self._retries.call(doing, write) for _ in range(steps)][-1]

    def rerun(self, repository: str, run: int) -> None:
        """Runs every job of a finished workflow run again, once."""
        repo, before = self._repository(repository), self.fetch_workflow_run(repository, run).attempt

        def post() -> None:
            # A rerun raises the attempt: a try whose answer was lost shows, and is not repeated.
            if repo.get_workflow_run(run).run_attempt == before:
                self._retries.before_write()
                repo.requester.requestJsonAndCheck("POST", f"{repo.url}/actions/runs/{run}/rerun")

        self._retries.call(f"rerunning workflow run {run} of {repository}", post)

    def dispatch(self, repository: str, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Starts `workflow` (its file's name) at `ref`.

        Sent again only when GitHub certainly rejected it: a second run looks just like the first.
        """
        found = self._repository(repository).get_workflow(workflow)

        def post() -> None:
            self._retries.before_write()
            found.create_dispatch(ref, dict(inputs), throw=True)

        self._retries.call(f"starting {workflow} of {repository}", post, repeatable=False)

    def create_issue(self, repository: str, title: str, body: str, marker: str) -> int:
        """Opens an issue, never two, and returns its number: before a second try it looks for the first by `marker`.

        Where another job of ours opened one at the same moment, the older one is kept and the newer one closed.
        """
        repo = self._repository(repository)

        def post() -> Comment:
            return convert.issue(repo.create_issue(title, body))

        def find() -> Comment | None:
            return self.find_issue(repository, marker)

        def withdraw(issue: Comment) -> None:
            repo.get_issue(issue.id).edit(state="closed", state_reason="not_planned")

        return self._create_only(f"opening an issue in {repository}", post, find, withdraw).id

    def edit_issue(self, repository: str, number: int, body: str, state: str = "") -> None:
        """Replaces the text of an issue, and reads it back: GitHub silently drops one that is too long.

        `state`, `open` or `closed`, opens or closes it as well.
        """
        repo = self._repository(repository)

        def edit() -> None:
            self._retries.before_write()
            repo.get_issue(number).edit(body=body, state=state or NotSet)
            written = _held(convert.issue(repo.get_issue(number).complete()), body)
            if state and written.open is not (state == "open"):
                raise StaleReadError

        self._retries.call(f"editing {repository}#{number}", edit)

    def _create_only(
        self,
        doing: str,
        post: Callable[[], Comment],
        find: Callable[[], Comment | None],
        withdraw: Callable[[Comment], None],
    ) -> Comment:
        """Returns what `_create` does, or the older one of another job; the newer one is then withdrawn."""
        created = self._create(doing, post, find, withdraw)
        first = find() or created
        if first.id != created.id:
            self._withdraw(doing, withdraw, created)
        return first

    def _withdraw(self, doing: str, withdraw: Callable[[Comment], None], created: Comment) -> None:
        # Gone already: the answer to an earlier deletion was lost.
        with suppress(NotFoundError):
            self._retries.call(doing, lambda: withdraw(created))

    def _create(
        self,
        doing: str,
        post: Callable[[], Comment],
        find: Callable[[], Comment | None],
        withdraw: Callable[[Comment], None],
    ) -> Comment:
        """Returns the result of `post`, or of an earlier try whose answer was lost.

        If that one only shows up after a second `post`, the second is withdrawn.
        """
        tried = False

        def attempt() -> Comment:
            nonlocal tried
            # Only a second try looks first: reading all comments before every write would double the requests.
            again, tried = tried, True
            if again and (found := find()):
                return found
            self._retries.before_write()
            created = post()
            # A wrong login would never find its own comments again, and write a new one every time.
            if created.author.lower() != self.login.lower():
                raise WrongLoginError(doing, f"the author is {created.author!r}, not {self.login!r}")
            first = (find() if again else None) or created
            if first.id != created.id:
                self._withdraw(doing, withdraw, created)
            return first

        return self._retries.call(doing, attempt)


def _comment(repo: Repository, comment: int) -> IssueComment:
    """Returns a comment without reading anything of it."""
    return IssueComment(repo.requester, url=f"{repo.url}/issues/comments/{comment}")


def _held(written: Comment, body: str) -> Comment:
    """Returns `written`, when it holds `body`; raises StaleReadError otherwise. GitHub may change line ends."""
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


def connect(context: JobContext, login: str) -> GitHub:
    """Returns the client of the app, where one is set up, else of the token's account; `login` is its usual name."""
    login = context.login or login
    if context.app:
        app = Auth.AppAuth(context.app, context.app_key)
        return GitHub(app.get_installation_auth(context.installation, APP_PERMISSIONS), context.api_url, login=login)
    return GitHub(Auth.Token(context.token), context.api_url, login=login)

"""PURE. Converts between PyGithub's objects and the types of `bot.github.types`; nothing else does.

Only attributes that GitHub sends in every listing are touched: any other makes PyGithub send one request per object.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from github.Artifact import Artifact
from github.File import File
from github.GithubApp import GithubApp
from github.Issue import Issue
from github.IssueComment import IssueComment
from github.NamedUser import NamedUser
from github.Organization import Organization
from github.PullRequest import PullRequest as GitHubPullRequest
from github.Repository import Repository
from github.Workflow import Workflow as GitHubWorkflow
from github.WorkflowJob import WorkflowJob
from github.WorkflowRun import WorkflowRun as GitHubWorkflowRun

from bot.github.types import (
    Annotation,
    ArtifactInfo,
    ChangedFile,
    CheckRun,
    Comment,
    FileStatus,
    JobResult,
    PullRequest,
    Revision,
    Workflow,
    WorkflowRun,
)

GHOST: Final = "ghost"
"""The account that GitHub shows instead of a deleted one."""

ANNOTATIONS: Final = 50
"""How many annotations GitHub takes in one request:
https://docs.github.com/en/rest/checks/runs#update-a-check-run"""


def moment(when: datetime | None) -> str:
    """Returns `when` as GitHub writes it, such as 2026-11-22T12:00:00Z."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ") if when else ""


def pull_request(pull: GitHubPullRequest, changed_files: int = 0) -> PullRequest:
    """Returns a pull request under its repository's present name. Listings do not have `changed_files`."""
    return PullRequest(
        repository=pull.base.repo.full_name,
        number=int(pull.number),
        base=_revision(pull.base.sha, pull.base.repo),
        head=_revision(pull.head.sha, pull.head.repo),
        head_branch=pull.head.ref,
        author=_account(pull.user)[0],
        open=pull.state == "open",
        locked=bool(pull.locked),
        changed_files=changed_files,
        updated=moment(pull.updated_at),
    )


def _revision(sha: str, repository: Repository | None) -> Revision:
    """Returns a revision; without a name where the fork of the pull request was deleted."""
    return Revision(repository.full_name, sha, repository.id) if repository else Revision("", sha)


def _account(user: NamedUser | Organization | None) -> tuple[str, str]:
    """Returns the login and type of an account."""
    return (user.login, user.type) if user else (GHOST, "User")


def _slug(app: GithubApp | None) -> str:
    return app.slug if app else ""


def changed_file(file: File) -> ChangedFile:
    """Returns a file of a change; an unknown status counts as changed."""
    known = file.status in set(FileStatus)
    status = FileStatus(file.status) if known else FileStatus.CHANGED
    return ChangedFile(file.filename, status, file.previous_filename or None, file.patch)


def comment(written: IssueComment) -> Comment:
    """Returns a comment with its author: account, type, and the App it came through."""
    return _text(written, int(written.id), _slug(written.performed_via_github_app))


def issue(written: Issue) -> Comment:
    """Returns an issue's first text; its id is the issue's number."""
    return replace(_text(written, int(written.number)), open=written.state == "open")


def _text(written: IssueComment | Issue, number: int, app: str = "") -> Comment:
    author, author_type = _account(written.user)
    return Comment(
        id=number,
        author=author,
        body=written.body or "",
        author_type=author_type,
        app=app,
        url=written.html_url,
        created=moment(written.created_at),
    )


def workflow_run(run: GitHubWorkflowRun) -> WorkflowRun:
    """Returns a workflow run; the repository of a deleted fork is empty."""
    head = _revision(run.head_sha, run.head_repository)
    return WorkflowRun(
        id=int(run.id),
        attempt=int(run.run_attempt),
        path=run.path,
        event=run.event,
        head_sha=head.sha,
        head_branch=run.head_branch or "",
        head_repository=head.repository,
        head_repository_id=head.repository_id,
        title=run.display_title or "",
        conclusion=run.conclusion or "",
        url=run.html_url,
    )


def workflow(found: GitHubWorkflow) -> Workflow:
    """Returns a workflow; one that GitHub itself stopped, after 60 days without a commit, does not count as disabled."""
    return Workflow(found.state in {"active", "disabled_inactivity"}, found.created_at.date())


def job(result: WorkflowJob) -> JobResult:
    """Returns a job with its conclusion, empty while it runs."""
    return JobResult(result.name, result.conclusion or "")


def artifact(info: Artifact) -> ArtifactInfo:
    """Returns an artifact, without its content."""
    return ArtifactInfo(int(info.id), info.name, int(info.size_in_bytes), info.digest or "", bool(info.expired))


def check_run_values(check: CheckRun, there: int) -> dict[str, Any]:
    """Returns what PyGithub sends for a check run: all its texts, and the annotations that follow the first `there`."""
    batch = check.annotations[there : there + ANNOTATIONS]
    texts = {"title": check.title, "summary": check.summary, "text": check.text}
    output = {name: value for name, value in texts.items() if value or name == "summary"}
    details = {"details_url": check.details_url, "external_id": check.external_id}
    return {
        **{name: value for name, value in details.items() if value},
        "status": "completed",
        "conclusion": check.conclusion,
        "output": {**output, "annotations": [_annotation(each) for each in batch]},
    }


def _annotation(annotation: Annotation) -> dict[str, str | int]:
    return {
        "path": annotation.path,
        "start_line": annotation.start,
        "end_line": annotation.end,
        "annotation_level": annotation.level,
        "message": annotation.message,
    }

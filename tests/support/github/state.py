"""What the test server knows: repositories and everything in them, as dataclasses and as GitHub's JSON."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from tests.support.github.description import sample

BOT = "zero3-matrix[bot]"
OLD = "2026-11-22T12:00:00Z"


@dataclass
class File:
    filename: str
    status: str = "modified"
    previous_filename: str = ""
    patch: str | None = "@@ -1 +1 @@\n-a\n+b"

    def json(self) -> dict[str, Any]:
        known = {"previous_filename": self.previous_filename, "patch": self.patch}
        present = {name: value for name, value in known.items() if value}
        return sample("diff-entry", filename=self.filename, status=self.status, **present)


@dataclass
class Pull:
    """`head_repository` is empty once the fork was deleted; `files` are listed up to 3,000, `changed_files` counts.

    `merge_base` is the tip of the base branch where it is left empty. `compared` are the files of `head_sha` itself, where
    the head has another commit while its files are listed.
    """

    number: int
    head_repository: str = "contributor/transformers"
    head_sha: str = "b" * 40
    head_branch: str = "patch-1"
    base_sha: str = "a" * 40
    merge_base: str = ""
    author: str = "contributor"
    state: str = "open"
    locked: bool = False
    updated: str = OLD
    files: list[File] = field(default_factory=list)
    changed_files: int = -1
    compared: list[File] | None = None


@dataclass
class Comment:
    """A comment on the pull request or issue `number`."""

    id: int
    number: int
    body: str
    author: str = BOT
    app: str = ""
    created: str = OLD


@dataclass
class Issue:
    """`state` is open, closed or deleted."""

    number: int
    title: str
    body: str
    author: str = BOT
    state: str = "open"


@dataclass
class Check:
    id: int
    name: str
    head_sha: str
    external_id: str = ""
    conclusion: str = ""
    details_url: str = ""
    output: dict[str, str] = field(default_factory=dict)
    annotations: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Job:
    name: str
    conclusion: str | None = "success"
    attempt: int = 1


@dataclass
class Artifact:
    """`content` is uploaded, or taken from `file` (standalone server)."""

    id: int
    run: int
    name: str
    content: bytes = b""
    expired: bool = False


@dataclass
class Run:
    id: int
    attempt: int = 1
    path: str = ".github/workflows/pull-request.yml"
    event: str = "pull_request"
    head_sha: str = "b" * 40
    head_branch: str = "patch-1"
    head_repository: str = "contributor/transformers"
    conclusion: str | None = "success"
    title: str = "Fix the loader"
    jobs: list[Job] = field(default_factory=list)


@dataclass
class Repository:
    """`permissions` holds (permission, role) by login; `moved` the names that it had before; `tip` is its newest commit.

    `workflows` holds (state, when it was created) by file.
    """

    name: str
    tip: str = "d" * 40
    moved: list[str] = field(default_factory=list)
    pulls: list[Pull] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    dispatches: list[dict[str, Any]] = field(default_factory=list)
    permissions: dict[str, tuple[str, str]] = field(default_factory=dict)
    workflows: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def id(self) -> int:
        return identity(self.name)


@dataclass
class State:
    """Everything. `tokens` tells the login of each token; `app_key` is the App's public key (PEM)."""

    repositories: list[Repository] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=lambda: {"ghp_secret": BOT})
    app_id: int = 7
    app_key: str = ""
    token_seconds: int = 3600
    last_id: int = 1000

    def new_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def repository(self, name: str) -> Repository | None:
        return next((each for each in self.repositories if each.name.lower() == name.lower()), None)


def identity(name: str) -> int:
    """A repository's id: the same for the same name, whatever else there is."""
    return int(hashlib.sha256(name.lower().encode()).hexdigest()[:7], 16)


def user(login: str) -> dict[str, Any] | None:
    """An account; one that was deleted has no login and is shown as null."""
    if not login:
        return None
    return sample("simple-user", login=login, id=identity(login), type="Bot" if login.endswith("[bot]") else "User")


def repository(name: str, schema: str = "repository", base: str = "") -> dict[str, Any] | None:
    """A repository as it is shown inside other things; None for that of a deleted fork."""
    if not name:
        return None
    url = f"{base}/repos/{name}"
    values = sample("repository" if schema == "repository" else schema, id=identity(name), full_name=name, url=url)
    return {**values, "name": name.partition("/")[2], "owner": user(name.partition("/")[0])}


def pull(repo: Repository, shown: Pull, base: str, *, listed: bool = False) -> dict[str, Any]:
    """A pull request; `changed_files` is in no listing."""
    counted = {"changed_files": len(shown.files) if shown.changed_files < 0 else shown.changed_files}
    owner, _, _ = shown.head_repository.partition("/")
    head = {"label": f"{owner}:{shown.head_branch}", "ref": shown.head_branch, "sha": shown.head_sha}
    return sample(
        "pull-request-simple" if listed else "pull-request",
        number=shown.number,
        url=f"{base}/repos/{repo.name}/pulls/{shown.number}",
        state=shown.state,
        locked=shown.locked,
        user=user(shown.author),
        updated_at=shown.updated,
        head={**head, "repo": repository(shown.head_repository, base=base), "user": user(owner or "ghost")},
        base={
            "label": "main",
            "ref": "main",
            "sha": shown.base_sha,
            "repo": repository(repo.name, base=base),
            "user": user(repo.name.partition("/")[0]),
        },
        **({} if listed else counted),
    )


def comment(repo: Repository, shown: Comment, base: str) -> dict[str, Any]:
    app = {**_app(), "slug": shown.app} if shown.app else None
    return sample(
        "issue-comment",
        id=shown.id,
        body=shown.body,
        user=user(shown.author),
        url=f"{base}/repos/{repo.name}/issues/comments/{shown.id}",
        html_url=f"https://github.com/{repo.name}/pull/{shown.number}#issuecomment-{shown.id}",
        created_at=shown.created,
        performed_via_github_app=app,
    )


def _app() -> dict[str, Any]:
    names = ("id", "node_id", "slug", "owner", "name", "description", "external_url", "html_url")
    values: dict[str, Any] = dict.fromkeys(names, "https://github.com/apps/zero3-matrix")
    dates = {"created_at": OLD, "updated_at": OLD}
    return {**values, **dates, "id": 7, "owner": user("zero3"), "permissions": {}, "events": []}


def issue(repo: Repository, shown: Issue, base: str) -> dict[str, Any]:
    return sample(
        "issue",
        number=shown.number,
        title=shown.title,
        body=shown.body,
        state=shown.state,
        user=user(shown.author),
        url=f"{base}/repos/{repo.name}/issues/{shown.number}",
        html_url=f"https://github.com/{repo.name}/issues/{shown.number}",
    )


def check(repo: Repository, shown: Check, base: str) -> dict[str, Any]:
    texts = {name: shown.output.get(name) for name in ("title", "summary", "text")}
    counted = {"annotations_count": len(shown.annotations), "annotations_url": base}
    return sample(
        "check-run",
        id=shown.id,
        name=shown.name,
        head_sha=shown.head_sha,
        external_id=shown.external_id,
        url=f"{base}/repos/{repo.name}/check-runs/{shown.id}",
        html_url=f"https://github.com/{repo.name}/runs/{shown.id}",
        details_url=shown.details_url,
        status="completed" if shown.conclusion else "queued",
        conclusion=shown.conclusion or None,
        output={**texts, **counted},
        check_suite={"id": 1},
    )


def run(repo: Repository, shown: Run, base: str) -> dict[str, Any]:
    return sample(
        "workflow-run",
        id=shown.id,
        run_attempt=shown.attempt,
        path=shown.path,
        event=shown.event,
        head_sha=shown.head_sha,
        head_branch=shown.head_branch,
        head_repository=repository(shown.head_repository, "minimal-repository", base),
        repository=repository(repo.name, "minimal-repository", base),
        conclusion=shown.conclusion,
        display_title=shown.title,
        url=f"{base}/repos/{repo.name}/actions/runs/{shown.id}",
        html_url=f"https://github.com/{repo.name}/actions/runs/{shown.id}",
    )


def job(shown: Job) -> dict[str, Any]:
    status = "completed" if shown.conclusion else "in_progress"
    return sample("job", name=shown.name, conclusion=shown.conclusion, status=status, run_attempt=shown.attempt)


def artifact(shown: Artifact) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(shown.content).hexdigest()}"
    size = len(shown.content)
    return sample("artifact", id=shown.id, name=shown.name, size_in_bytes=size, expired=shown.expired, digest=digest)

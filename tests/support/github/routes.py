"""What the test server answers: one function per operation of GitHub's API, on a `State`."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import jwt

from tests.support.github import state as show
from tests.support.github.description import Answer, Request, sample
from tests.support.github.state import Artifact, Check, Comment, Issue, Pull, Repository, Run, State

BODY_LIMIT = 65_536
FILE_LIMIT = 3_000
COMPARED_LIMIT = 300
NOT_FOUND = Answer(404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"})
REPO = "/repos/{owner}/{repo}"
Route = Callable[["Call"], Answer]
ROUTES: dict[tuple[str, str], Route] = {}


class MissingError(Exception):
    """404."""


@dataclass(frozen=True)
class Call:
    """One request, with what it is about. `base` is the server's address, `blobs` that of the archives' host."""

    request: Request
    params: dict[str, str]
    state: State
    base: str
    blobs: str
    login: str

    @property
    def repo(self) -> Repository:
        found = self.state.repository(f"{self.params['owner']}/{self.params['repo']}")
        return found or _missing()

    def number(self, name: str) -> int:
        return int(self.params[name]) if self.params[name].isdigit() else _missing()

    def page(self, items: Sequence[dict[str, Any]], inside: str = "") -> Answer:
        """One page of `items` with GitHub's Link header; `inside` names the list where it is not the whole answer."""
        size = min(int(self.request.query.get("per_page", "30")), 100)
        page = int(self.request.query.get("page", "1"))
        shown = list(items[(page - 1) * size : page * size])
        headers = {"Link": self._links(page, -(-len(items) // size))} if len(items) > size else {}
        return Answer(200, {"total_count": len(items), inside: shown} if inside else shown, headers)

    def _links(self, page: int, last: int) -> str:
        there = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        left_out = {"prev", "first"} if page == 1 else {"next", "last"} if page >= last else set()
        address = f"{self.base}{self.request.path}?"
        query = self.request.query
        return ", ".join(
            f'<{address}{urlencode({**query, "page": target})}>; rel="{name}"'
            for name, target in there.items()
            if name not in left_out
        )


def _missing() -> Any:
    raise MissingError


def _one(items: Sequence[Any], **wanted: Any) -> Any:
    return next((each for each in items if all(getattr(each, k) == v for k, v in wanted.items())), None) or _missing()


def route(method: str, path: str) -> Callable[[Route], Route]:
    def add(function: Route) -> Route:
        ROUTES[method, path] = function
        return function

    return add


def refused(status: int, message: str, **details: Any) -> Answer:
    return Answer(status, {"message": message, "documentation_url": "https://docs.github.com/rest", **details})


def too_long(field: str) -> Answer:
    error = {"resource": "IssueComment", "code": "unprocessable", "field": field}
    message = f"Body is too long (maximum is {BODY_LIMIT} characters)"
    return refused(422, "Validation Failed", errors=[{**error, "message": message}])


@route("POST", "/app/installations/{installation_id}/access_tokens")
def create_token(call: Call) -> Answer:
    token = call.request.headers.get("authorization", "").partition(" ")[2]
    try:
        jwt.decode(token, call.state.app_key, algorithms=["RS256"], issuer=str(call.state.app_id))
    except jwt.InvalidTokenError:
        return refused(401, "A JSON web token could not be decoded")
    token = f"ghs_{call.state.new_id()}"
    call.state.tokens[token] = show.BOT
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + call.state.token_seconds))
    return Answer(201, sample("installation-token", token=token, expires_at=expires))


@route("GET", REPO)
def repository(call: Call) -> Answer:
    return Answer(200, show.repository(call.repo.name, "full-repository", call.base))


@route("GET", f"{REPO}/pulls")
def pulls(call: Call) -> Answer:
    query, repo = call.request.query, call.repo
    found = [pull for pull in repo.pulls if query.get("state", "open") in {pull.state, "all"}]
    if "head" in query:
        found = [pull for pull in found if _label(pull) == query["head"]]
    found.sort(key=lambda pull: pull.updated if query.get("sort") == "updated" else str(pull.number).zfill(9))
    if query.get("direction", "desc") == "desc":
        found.reverse()
    return call.page([show.pull(repo, pull, call.base, listed=True) for pull in found])


def _label(pull: Pull) -> str:
    return f"{pull.head_repository.partition('/')[0]}:{pull.head_branch}"


@route("GET", f"{REPO}/pulls/{{pull_number}}")
def pull(call: Call) -> Answer:
    found = _one(call.repo.pulls, number=call.number("pull_number"))
    return Answer(200, show.pull(call.repo, found, call.base))


@route("GET", f"{REPO}/compare/{{basehead}}")
def compared(call: Call) -> Answer:
    base, _, head = call.params["basehead"].partition("...")
    found: Pull = _one(call.repo.pulls, base_sha=base, head_sha=head)
    commits = {"merge_base_commit": found.merge_base or base, "base_commit": base}
    shown = {name: sample("commit", sha=sha, author={}, committer={}) for name, sha in commits.items()}
    listed = found.files if found.compared is None else found.compared
    return Answer(200, sample("commit-comparison", **shown, files=[file.json() for file in listed[:COMPARED_LIMIT]]))


@route("GET", f"{REPO}/pulls/{{pull_number}}/files")
def files(call: Call) -> Answer:
    found: Pull = _one(call.repo.pulls, number=call.number("pull_number"))
    return call.page([file.json() for file in found.files[:FILE_LIMIT]])


@route("GET", f"{REPO}/issues/{{issue_number}}/comments")
def comments(call: Call) -> Answer:
    _conversation(call)
    number = call.number("issue_number")
    found = [comment for comment in call.repo.comments if comment.number == number]
    return call.page([show.comment(call.repo, comment, call.base) for comment in found])


@route("POST", f"{REPO}/issues/{{issue_number}}/comments")
def create_comment(call: Call) -> Answer:
    body = call.request.values["body"]
    if getattr(_conversation(call), "locked", False):
        return refused(403, "Unable to create comment because issue is locked.")
    if len(body) > BODY_LIMIT:
        return too_long("data")
    created = Comment(call.state.new_id(), call.number("issue_number"), body, call.login)
    call.repo.comments.append(created)
    return Answer(201, show.comment(call.repo, created, call.base))


def _conversation(call: Call) -> Pull | Issue:
    repo, number = call.repo, call.number("issue_number")
    found: Pull | Issue = _one([*repo.pulls, *repo.issues], number=number)
    return found


@route("GET", f"{REPO}/issues/comments/{{comment_id}}")
def comment(call: Call) -> Answer:
    found = _one(call.repo.comments, id=call.number("comment_id"))
    return Answer(200, show.comment(call.repo, found, call.base))


@route("PATCH", f"{REPO}/issues/comments/{{comment_id}}")
def edit_comment(call: Call) -> Answer:
    found: Comment = _one(call.repo.comments, id=call.number("comment_id"))
    if found.author != call.login:
        return refused(403, "Resource not accessible by integration")
    if len(call.request.values["body"]) > BODY_LIMIT:
        return too_long("data")
    found.body = call.request.values["body"].replace("\r\n", "\n")  # the bot must not rely on line ends
    return Answer(200, show.comment(call.repo, found, call.base))


@route("DELETE", f"{REPO}/issues/comments/{{comment_id}}")
def delete_comment(call: Call) -> Answer:
    call.repo.comments.remove(_one(call.repo.comments, id=call.number("comment_id")))
    return Answer(204)


@route("GET", f"{REPO}/issues")
def issues(call: Call) -> Answer:
    asked = call.request.query.get("state", "open")
    found = [issue for issue in call.repo.issues if issue.state in ({"open", "closed"} if asked == "all" else {asked})]
    ordered = sorted(found, key=lambda issue: issue.number, reverse=call.request.query.get("direction") != "asc")
    return call.page([show.issue(call.repo, issue, call.base) for issue in ordered])


@route("POST", f"{REPO}/issues")
def create_issue(call: Call) -> Answer:
    values = call.request.values
    created = Issue(call.state.new_id(), values["title"], values.get("body") or "", call.login)
    call.repo.issues.append(created)
    return Answer(201, show.issue(call.repo, created, call.base))


@route("GET", f"{REPO}/issues/{{issue_number}}")
def issue(call: Call) -> Answer:
    found: Issue = _one(call.repo.issues, number=call.number("issue_number"))
    if found.state == "deleted":
        return refused(410, "This issue was deleted")
    return Answer(200, show.issue(call.repo, found, call.base))


@route("PATCH", f"{REPO}/issues/{{issue_number}}")
def edit_issue(call: Call) -> Answer:
    """A body that is too long is dropped without a word, as GitHub does."""
    found: Issue = _one(call.repo.issues, number=call.number("issue_number"))
    body, state = call.request.values.get("body"), call.request.values.get("state")
    found.body = body if body is not None and len(body) <= BODY_LIMIT else found.body
    found.state = state or found.state
    return Answer(200, show.issue(call.repo, found, call.base))


@route("POST", f"{REPO}/check-runs")
def create_check(call: Call) -> Answer:
    if not call.login.endswith("[bot]"):
        return refused(403, "You must authenticate via a GitHub App.")
    created = Check(call.state.new_id(), call.request.values["name"], call.request.values["head_sha"])
    answer = _filled(call, created, 201)
    if answer.status == 201:
        call.repo.checks.append(created)
    return answer


@route("PATCH", f"{REPO}/check-runs/{{check_run_id}}")
def edit_check(call: Call) -> Answer:
    return _filled(call, _one(call.repo.checks, id=call.number("check_run_id")), 200)


def _filled(call: Call, check: Check, status: int) -> Answer:
    """Annotations are added to those there are."""
    values = call.request.values
    output = dict(values.get("output", {}))
    longest = max(len(output.get("summary", "")), len(output.get("text", "")))
    if longest >= BODY_LIMIT:
        said = f"Only {BODY_LIMIT - 1} characters are allowed; {longest} were supplied."
        return refused(422, f"Invalid request.\n\n{said}")
    check.annotations += output.pop("annotations", [])
    check.output = {**check.output, **output}
    for name in ("external_id", "conclusion", "details_url"):
        setattr(check, name, values.get(name, getattr(check, name)))
    return Answer(status, show.check(call.repo, check, call.base))


@route("GET", f"{REPO}/commits/{{ref}}")
def commit(call: Call) -> Answer:
    shas = {"HEAD": call.repo.tip}
    sha = shas.get(call.params["ref"]) or _missing()
    return Answer(200, sample("commit", sha=sha, author={}, committer={}))


@route("GET", f"{REPO}/commits/{{ref}}/check-runs")
def checks(call: Call) -> Answer:
    name = call.request.query.get("check_name")
    found = [check for check in call.repo.checks if check.head_sha == call.params["ref"]]
    named = [check for check in found if name in {None, check.name}]
    if call.request.query.get("filter", "latest") == "latest":
        named = list({check.name: check for check in named}.values())
    return call.page([show.check(call.repo, check, call.base) for check in named], "check_runs")


@route("GET", f"{REPO}/actions/runs/{{run_id}}")
def run(call: Call) -> Answer:
    return Answer(200, show.run(call.repo, _one(call.repo.runs, id=call.number("run_id")), call.base))


@route("GET", f"{REPO}/actions/runs/{{run_id}}/attempts/{{attempt_number}}/jobs")
def jobs(call: Call) -> Answer:
    found: Run = _one(call.repo.runs, id=call.number("run_id"))
    attempt = call.number("attempt_number")
    return call.page([show.job(job) for job in found.jobs if job.attempt == attempt], "jobs")


@route("POST", f"{REPO}/actions/runs/{{run_id}}/rerun")
def rerun(call: Call) -> Answer:
    found: Run = _one(call.repo.runs, id=call.number("run_id"))
    if found.conclusion is None:
        return refused(403, "This workflow is already running")
    found.attempt, found.conclusion = found.attempt + 1, None
    return Answer(201, {})


@route("GET", f"{REPO}/actions/runs/{{run_id}}/artifacts")
def artifacts(call: Call) -> Answer:
    run_id = call.number("run_id")
    return call.page([show.artifact(each) for each in call.repo.artifacts if each.run == run_id], "artifacts")


@route("GET", f"{REPO}/actions/artifacts/{{artifact_id}}/{{archive_format}}")
def download(call: Call) -> Answer:
    found: Artifact = _one(call.repo.artifacts, id=call.number("artifact_id"))
    if found.expired:
        return refused(410, "Artifact has expired")
    return Answer(302, None, {"Location": f"{call.blobs}/{found.id}?sig=signature"})


@route("GET", f"{REPO}/actions/workflows/{{workflow_id}}")
def workflow(call: Call) -> Answer:
    if call.params["workflow_id"] not in call.repo.workflows:
        return NOT_FOUND
    state, created = call.repo.workflows[call.params["workflow_id"]]
    return Answer(200, sample("workflow", state=state, created_at=created))


@route("POST", f"{REPO}/actions/workflows/{{workflow_id}}/dispatches")
def dispatch(call: Call) -> Answer:
    call.repo.dispatches.append({"workflow": call.params["workflow_id"], **call.request.values})
    return Answer(204)


@route("GET", f"{REPO}/collaborators/{{username}}/permission")
def permission(call: Call) -> Answer:
    if call.params["username"] not in call.repo.permissions:
        return NOT_FOUND
    allowed, role = call.repo.permissions[call.params["username"]]
    return Answer(200, sample("repository-collaborator-permission", permission=allowed, role_name=role))


def renamed(request: Request, state: State, base: str) -> Answer | Request:
    """`request` under the repository's present name, or the redirect that says it: 301, for a write 307."""
    parts = request.path.split("/")
    by_id = parts[1] == "repositories" and next((r for r in state.repositories if str(r.id) == parts[2]), None)
    if by_id:
        return replace(request, path="/".join(["", "repos", by_id.name, *parts[3:]]))
    asked = "/".join(parts[2:4]).lower()
    moved = next((r for r in state.repositories if asked in {old.lower() for old in r.moved}), None)
    if moved is None or parts[1] != "repos":
        return request
    query = f"?{urlencode(request.query)}" if request.query else ""
    location = f"{base}{'/'.join(['', 'repositories', str(moved.id), *parts[4:]])}{query}"
    status = 301 if request.method == "GET" else 307
    return Answer(status, {"message": "Moved Permanently", "url": location}, {"Location": location})

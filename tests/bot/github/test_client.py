"""The door against the test server: what it reads and writes, page by page, and with how many requests."""

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from github import Auth

from bot.github.client import GitHub
from bot.github.errors import ForbiddenError, NotFoundError, TooLargeError, TooLongError
from bot.github.types import Annotation, ArtifactInfo, CheckRun, FileStatus, JobResult, Revision
from tests.support.github.client import NAME, one_pull, opened
from tests.support.github.description import Answer, Request, violations
from tests.support.github.keys import private_pem, public_pem
from tests.support.github.state import (
    BOT,
    Artifact,
    Check,
    Comment,
    File,
    Issue,
    Job,
    Pull,
    Repository,
    Run,
    State,
    identity,
)

ROOT = Path(__file__).parents[3]
CHECK = CheckRun("zero3", "b" * 40, "failure", "2 regressed", "in words", external_id="99-1")


def paths(requests: list[Request], method: str = "GET") -> list[str]:
    return [request.path.removeprefix(f"/repos/{NAME}") for request in requests if request.method == method]


def test_a_pull_request_with_its_two_commits() -> None:
    with opened(one_pull()) as (_, github):
        pull = github.fetch_pull_request(NAME, 5)
    assert pull.head == Revision("contributor/transformers", "b" * 40, identity("contributor/transformers"))
    assert (pull.base.repository, pull.base.sha, pull.head_branch) == (NAME, "a" * 40, "patch-1")
    assert (pull.author, pull.open, pull.locked, pull.updated) == ("contributor", True, False, "2026-11-22T12:00:00Z")


def test_b8_asking_again_is_a_304_and_a_new_head_is_seen() -> None:
    with opened(one_pull()) as (server, github):
        first = github.fetch_pull_request(NAME, 5)
        assert github.fetch_pull_request(NAME, 5) == first
        assert server.requests[-1].headers["if-none-match"]
        server.state.repositories[0].pulls[0].head_sha = "c" * 40
        assert github.fetch_pull_request(NAME, 5).head.sha == "c" * 40


def test_a_deleted_fork_has_no_repository() -> None:
    state = State([Repository(NAME, pulls=[Pull(5, head_repository="")], runs=[Run(3, head_repository="")])])
    with opened(state) as (_, github):
        assert github.fetch_pull_request(NAME, 5).head == Revision("", "b" * 40)
        assert github.list_pull_requests_since(NAME, "2026-01-01T00:00:00Z", 9)[0].head.repository == ""
        assert (
            github.fetch_workflow_run(NAME, 3).head_repository,
            github.fetch_workflow_run(NAME, 3).head_repository_id,
        ) == (
            "",
            0,
        )


def test_pull_requests_from_a_branch_over_all_pages_without_one_request_each() -> None:
    others = [Pull(number, head_branch="elsewhere") for number in range(500, 510)]
    pulls = [Pull(number) for number in range(1, 231)]
    with opened(State([Repository(NAME, pulls=[*pulls, *others])])) as (server, github):
        found = github.list_pull_requests_from(NAME, "contributor", "patch-1")
        assert {pull.number for pull in found} == set(range(1, 231))
        assert len(server.requests) == 1 + 3


def test_pull_requests_since_are_the_oldest_first_and_ties_stay_together() -> None:
    minutes = [10, 20, 20, 30, 40]
    pulls = [Pull(n, updated=f"2026-11-22T12:{minute}:00Z") for n, minute in enumerate(minutes)]
    with opened(State([Repository(NAME, pulls=pulls)])) as (_, github):
        assert [pull.number for pull in github.list_pull_requests_since(NAME, "2026-11-22T12:10:00Z", 1)] == [1, 2]
        assert [pull.number for pull in github.list_pull_requests_since(NAME, "2026-11-22T14:20:00+02:00", 9)] == [3, 4]
        assert github.list_pull_requests_since(NAME, "2026-11-22T12:40:00Z", 9) == []


def test_files_of_every_status_with_what_they_were() -> None:
    files = [File("a.py", "renamed", "old.py", None), File("b.py", "removed"), File("c.bin", "added", patch=None)]
    with opened(State([Repository(NAME, pulls=[Pull(5, files=files)])])) as (_, github):
        change = github.fetch_change(github.fetch_pull_request(NAME, 5))
    assert [(file.path, file.status, file.previous) for file in change.files] == [
        ("a.py", FileStatus.RENAMED, "old.py"),
        ("b.py", FileStatus.REMOVED, None),
        ("c.bin", FileStatus.ADDED, None),
    ]
    assert (change.files[1].patch, change.files[2].patch, change.complete) == ("@@ -1 +1 @@\n-a\n+b", None, True)


@pytest.mark.parametrize(("count", "complete"), [(400, True), (3000, True), (3001, False), (3456, False)])
def test_b3_many_files_are_all_read_up_to_githubs_limit(count: int, *, complete: bool) -> None:
    files = [File(f"src/{n}.py") for n in range(count)]
    with opened(State([Repository(NAME, pulls=[Pull(5, files=files)])])) as (server, github):
        change = github.fetch_change(github.fetch_pull_request(NAME, 5))
        assert len(server.requests) == 2 + -(-min(count, 3000) // 100)
    assert (len({file.path for file in change.files}), change.total) == (min(count, 3000), count)
    assert change.complete is complete


def test_the_files_of_a_listed_pull_request_are_counted_too() -> None:
    with opened(State([Repository(NAME, pulls=[Pull(5, files=[File("a.py")])])])) as (_, github):
        (listed,) = github.list_pull_requests_from(NAME, "contributor", "patch-1")
        assert (listed.changed_files, github.fetch_change(listed).total) == (0, 1)


def test_b2_two_hundred_and_fifty_comments_take_three_pages() -> None:
    comments = [Comment(n, 5, f"text {n}", "someone" if n % 2 else BOT, "zero3" if n == 2 else "") for n in range(250)]
    with opened(one_pull(comments=comments)) as (server, github):
        found = github.list_comments(NAME, 5)
        assert len(server.requests) == 1 + 3
    assert [comment.id for comment in found] == list(range(250))
    assert (found[1].author, found[1].author_type, found[2].author_type, found[2].app) == (
        "someone",
        "User",
        "Bot",
        "zero3",
    )


def test_a_comment_is_created_and_edited_in_place() -> None:
    with opened(one_pull()) as (server, github):
        created = github.create_comment(NAME, 5, "<!-- zero3 1 -->\nred", "zero3 1")
        edited = github.edit_comment(NAME, created.id, "<!-- zero3 2 -->\r\ngreen")
        assert (edited.id, edited.author) == (created.id, BOT)
        assert [comment.body for comment in server.state.repositories[0].comments] == ["<!-- zero3 2 -->\ngreen"]


def test_b6_a_body_too_long_is_its_own_error() -> None:
    with opened(one_pull(comments=[Comment(1, 5, "old")])) as (server, github):
        with pytest.raises(TooLongError, match="65536"):
            github.create_comment(NAME, 5, "x" * 65_537, "x")
        with pytest.raises(TooLongError):
            github.edit_comment(NAME, 1, "x" * 65_537)
        assert [comment.body for comment in server.state.repositories[0].comments] == ["old"]
        assert len(paths(server.requests, "POST")) == len(paths(server.requests, "PATCH")) == 1


def test_b7_locked_deleted_and_unknown_things() -> None:
    state = State([Repository(NAME, pulls=[Pull(5, locked=True)], issues=[Issue(6, "t", "b", state="deleted")])])
    with opened(state) as (_, github):
        with pytest.raises(ForbiddenError, match="locked"):
            github.create_comment(NAME, 5, "text", "text")
        with pytest.raises(NotFoundError, match="editing comment 44"):
            github.edit_comment(NAME, 44, "text")
        with pytest.raises(NotFoundError, match="410"):
            github.edit_issue(NAME, 6, "text")
        with pytest.raises(NotFoundError, match="404"):
            github.fetch_pull_request(NAME, 7)
        with pytest.raises(NotFoundError, match="looking for no/where"):
            github.fetch_pull_request("no/where", 7)


def test_b9_a_moved_repository_is_found_under_its_old_name_for_reads_and_writes() -> None:
    others = [Pull(n, head_branch="elsewhere") for n in range(100, 250)]
    state = State([Repository(NAME, moved=["old/name"], pulls=[Pull(5), *others], comments=[Comment(1, 5, "old")])])
    with opened(state) as (server, github):
        assert [pull.number for pull in github.list_pull_requests_from("old/name", "contributor", "patch-1")] == [5]
        assert github.fetch_pull_request("old/name", 5).repository == NAME
        github.create_comment("old/name", 5, "new", "new")
        github.edit_comment("old/name", 1, "edited")
        assert [comment.body for comment in server.state.repositories[0].comments] == ["edited", "new"]
        assert len([request for request in server.requests if "old/name" in request.path]) == 1


def test_a_check_run_with_120_annotations_is_written_once_and_updated_by_name_and_external_id() -> None:
    remarks = tuple(Annotation("src/a.py", n, n, f"line {n}") for n in range(1, 121))
    check = replace(CHECK, annotations=remarks, text="more", details_url="https://example.com")
    other = Check(1, "zero3", "b" * 40, external_id="98-1")
    with opened(one_pull(checks=[other])) as (server, github):
        assert github.put_check_run(NAME, check).endswith("/runs/1001")
        assert len(server.requests) == 1 + 3 * 2
        assert github.put_check_run(NAME, check).endswith("/runs/1001")
        _, made = server.state.repositories[0].checks
        assert [remark["start_line"] for remark in made.annotations] == list(range(1, 121))
        assert (made.conclusion, made.output["summary"], made.output["text"]) == ("failure", "in words", "more")
        assert (other.conclusion, len(paths(server.requests, "POST"))) == ("", 1)


def test_an_older_check_run_is_updated_too() -> None:
    checks = [Check(1, "zero3", "b" * 40, "99-1"), Check(2, "zero3", "b" * 40, "100-1")]
    with opened(one_pull(checks=checks)) as (_, github):
        github.put_check_run(NAME, CHECK)
    assert [check.conclusion for check in checks] == ["failure", ""]


def test_b6_a_check_run_too_long_is_its_own_error() -> None:
    with opened(one_pull()) as (server, github):
        with pytest.raises(TooLongError, match="65535"):
            github.put_check_run(NAME, replace(CHECK, text="x" * 65_536))
        assert server.state.repositories[0].checks == []


def test_a_deleted_account_is_a_ghost() -> None:
    with opened(one_pull(comments=[Comment(1, 5, "text", "")])) as (_, github):
        assert [comment.author for comment in github.list_comments(NAME, 5)] == ["ghost"]


def test_a_check_run_without_annotations_takes_two_requests() -> None:
    with opened(one_pull()) as (server, github):
        github.put_check_run(NAME, CHECK)
        assert len(server.requests) == 1 + 2


def test_a_check_run_needs_an_app() -> None:
    state = one_pull()
    state.tokens = {"ghp_secret": "somebody"}
    with opened(state) as (_, github), pytest.raises(ForbiddenError, match="authenticate via a GitHub App"):
        github.put_check_run(NAME, CHECK)


def test_a_workflow_run_its_jobs_of_one_attempt_and_its_artifacts() -> None:
    jobs = [*(Job(f"cell {n}") for n in range(120)), Job("again", "failure", 2), Job("still", None, 2)]
    artifacts = [Artifact(n, 3, f"zero3-{n}", b"12345") for n in range(130)]
    with opened(one_pull(runs=[Run(3, attempt=2, jobs=jobs)], artifacts=artifacts)) as (server, github):
        run = github.fetch_workflow_run(NAME, 3)
        assert (run.attempt, run.path, run.head_sha) == (2, ".github/workflows/pull-request.yml", "b" * 40)
        assert run.head_repository_id == identity("contributor/transformers")
        assert github.list_jobs(NAME, 3, 2) == [JobResult("again", "failure"), JobResult("still", "")]
        assert len(github.list_jobs(NAME, 3, 1)) == 120
        found = github.list_artifacts(NAME, 3)
        assert (len(found), len(server.requests)) == (130, 1 + 1 + 1 + 2 + 2)
    digest = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"
    assert found[0] == ArtifactInfo(0, "zero3-0", 5, f"sha256:{digest}")


def test_an_artifact_comes_from_another_host_which_never_sees_the_token() -> None:
    with opened(one_pull(artifacts=[Artifact(8, 3, "zero3-a", b"PK" * 5000)])) as (server, github):
        assert github.download_artifact(NAME, 8, limit=10_000) == b"PK" * 5000
        assert len(server.downloads) == 1
        assert "authorization" not in server.downloads[0]


def test_an_artifact_beyond_the_limit_is_not_read() -> None:
    artifacts = [Artifact(8, 3, "zero3-a", b"x" * 10_001), Artifact(9, 3, "old", expired=True)]
    with opened(one_pull(artifacts=artifacts)) as (_, github):
        with pytest.raises(TooLargeError, match="10,001 bytes, the limit is 10,000"):
            github.download_artifact(NAME, 8, limit=10_000)
        with pytest.raises(NotFoundError, match="expired"):
            github.download_artifact(NAME, 9, limit=10_000)


def test_permission_tells_roles_and_strangers_have_none() -> None:
    allowed = {
        "o/d/d": ("read", "read"),
        "a": ("admin", "admin"),
        "m": ("write", "maintain"),
        "t": ("read", "triage"),
        "c": ("write", "custom"),
    }
    with opened(one_pull(permissions=allowed)) as (_, github):
        assert [github.fetch_permission(NAME, user) for user in ("a", "m", "t", "c", "nobody", "o/d/d")] == [
            "admin",
            "maintain",
            "triage",
            "write",
            "none",
            "read",
        ]


def test_rerun_and_dispatch() -> None:
    with opened(one_pull(runs=[Run(3)])) as (server, github):
        github.rerun(NAME, 3)
        github.dispatch(NAME, "pull-request.yml", "main", {"number": "5", "head": "b" * 40})
        repository = server.state.repositories[0]
    assert repository.runs[0].attempt == 2
    assert repository.dispatches == [
        {"workflow": "pull-request.yml", "ref": "main", "inputs": {"number": "5", "head": "b" * 40}}
    ]


def test_the_tracking_issue_is_the_oldest_open_one_of_ours() -> None:
    issues = [Issue(n, "t", "text") for n in range(10, 150)]
    issues += [Issue(1, "t", "marker", "stranger"), Issue(2, "t", "marker", state="closed"), Issue(160, "t", "marker")]
    with opened(one_pull(issues=[*issues, Issue(170, "t", "marker")])) as (_, github):
        found = github.find_issue(NAME, "marker")
        assert found
        assert (found.id, found.body, github.find_issue(NAME, "other")) == (160, "marker", None)


def test_an_issue_is_created_and_edited() -> None:
    with opened(one_pull()) as (server, github):
        number = github.create_issue(NAME, "Upstream", "first", "first")
        github.edit_issue(NAME, number, "second")
        assert server.state.repositories[0].issues == [Issue(number, "Upstream", "second")]


def app(state: State, key: rsa.RSAPrivateKey) -> Auth.AppInstallationAuth:
    state.app_key = public_pem(key)
    return Auth.AppInstallationAuth(Auth.AppAuth(7, private_pem(key)), 1)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def test_the_merge_base_of_a_head_in_a_fork() -> None:
    with opened(State([Repository(NAME, pulls=[Pull(5, merge_base="c" * 40)])])) as (_, github):
        assert github.compare_commits(NAME, "a" * 40, "b" * 40).merge_base == "c" * 40


@pytest.mark.parametrize(("count", "whole"), [(0, True), (299, True), (300, False), (400, False)])
def test_the_files_of_a_commit_are_read_in_one_request_up_to_githubs_limit(count: int, *, whole: bool) -> None:
    files = [File(f"src/{n}.py") for n in range(count)]
    with opened(State([Repository(NAME, pulls=[Pull(5, files=files)])])) as (server, github):
        compared = github.compare_commits(NAME, "a" * 40, "b" * 40)
        assert len(server.requests) == 2
    assert (len(compared.change.files), compared.whole) == (min(count, 300), whole)


def test_b10_an_installation_token_is_made_once_and_renewed_before_it_expires(key: rsa.RSAPrivateKey) -> None:
    for seconds, tokens in ((3600, 1), (10, 3)):
        state = one_pull()
        state.token_seconds = seconds
        with opened(state, auth=app(state, key)) as (server, github):
            github.create_comment(NAME, 5, "one", "one")
            github.list_comments(NAME, 5)
            assert len([path for path in paths(server.requests, "POST") if "access_tokens" in path]) == tokens


def test_b10_the_token_is_in_no_log_and_no_message(
    key: rsa.RSAPrivateKey, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="github")
    state = one_pull(artifacts=[Artifact(8, 3, "gone", expired=True)])
    with opened(state, auth=app(state, key)) as (server, github):
        with pytest.raises(NotFoundError) as raised:
            github.download_artifact(NAME, 8, 100)
        token = server.requests[-1].headers["authorization"].partition(" ")[2]
    said = caplog.text + str(raised.value) + "".join(capfd.readouterr())
    assert token.startswith("ghs_")
    assert token not in said


def test_the_server_runs_alone_and_takes_archives(tmp_path: Path) -> None:
    seed = {"repositories": [{"name": NAME, "pulls": [{"number": 5}], "runs": [{"id": 3}]}], "tokens": {"t": BOT}}
    (tmp_path / "seed.json").write_text(json.dumps(seed))
    command = [sys.executable, "-m", "tests.support.github.server", "--state", str(tmp_path / "seed.json")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            url = server.stdout.readline().strip()
            uploaded = requests.put(f"{url}/_test/artifacts/3/zero3-a", data=b"PK", timeout=30)
            github = GitHub(Auth.Token("t"), url, login=BOT)
            (artifact,) = github.list_artifacts(NAME, 3)
            assert github.download_artifact(NAME, artifact.id, 100) == b"PK"
            state = requests.get(f"{url}/_test/state", timeout=30).json()
        finally:
            server.terminate()
    assert (uploaded.status_code, state["violations"]) == (200, [])
    assert state["state"]["repositories"][0]["artifacts"][0]["name"] == "zero3-a"


def test_the_server_knows_when_an_exchange_is_not_githubs() -> None:
    request = Request("POST", f"/repos/{NAME}/check-runs", body=b'{"name": "x", "head_sha": "a", "status": "done"}')
    (request_wrong,) = violations(request, Answer(201, {}))[:1]
    (answer_wrong, *_) = violations(Request("GET", f"/repos/{NAME}/pulls/1"), Answer(200, {"number": 1}))
    assert "'done' is not one of" in request_wrong
    assert "is a required property" in answer_wrong


def test_the_newest_commit_of_a_repository() -> None:
    with opened(State([Repository(NAME, tip="e" * 40)])) as (_, github):
        assert github.fetch_tip(NAME) == "e" * 40


def test_a_closed_issue_is_found_where_it_is_looked_for_and_opened_again() -> None:
    state = State([Repository(NAME, issues=[Issue(9, "Upstream", "marker", BOT, "closed")])])
    with opened(state) as (server, github):
        assert github.find_issue(NAME, "marker") is None
        found = github.find_issue(NAME, "marker", closed=True)
        assert found
        assert (found.id, found.open) == (9, False)
        github.edit_issue(NAME, 9, "marker, new", "open")
        assert github.find_issue(NAME, "marker")
        github.edit_issue(NAME, 9, "marker, newer")
        (issue,) = server.state.repositories[0].issues
        assert (issue.body, issue.state) == ("marker, newer", "open")


def test_of_two_comments_with_a_shared_marker_the_older_stays() -> None:
    with opened(one_pull(comments=[Comment(9, 5, "marker", "someone"), Comment(10, 5, "marker")])) as (server, github):
        assert github.create_comment(NAME, 5, "marker", "marker", shared=True).id == 10
        assert [comment.id for comment in server.state.repositories[0].comments] == [9, 10]


def test_of_two_issues_opened_in_the_same_moment_the_older_stays() -> None:
    with opened(State([Repository(NAME, issues=[Issue(9, "Upstream", "marker")])])) as (server, github):
        assert github.create_issue(NAME, "Upstream", "marker", "marker") == 9
        assert [issue.state for issue in server.state.repositories[0].issues] == ["open", "closed"]

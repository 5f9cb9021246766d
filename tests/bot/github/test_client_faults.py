"""The door when GitHub fails: afterwards there is exactly one right comment, or an error that says why not."""

import time

import pytest

from bot.github.client import GitHub
from bot.github.errors import (
    ExpiredTokenError,
    ForbiddenError,
    GitHubError,
    RateLimitedError,
    TooLargeError,
    UnreachableError,
)
from bot.github.retries import RetryPolicy
from bot.github.types import Annotation, CheckRun
from tests.support.github.client import NAME, Clock, one_pull, opened
from tests.support.github.faults import Fault, Kind
from tests.support.github.server import GitHubServer
from tests.support.github.state import Artifact, Comment, Issue, Run

MARKER = "<!-- zero3 7 -->"
BODY = f"{MARKER}\nregressed"
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
PRIMARY = "API rate limit exceeded for installation ID 1."
RESET = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700000030"}
LOST = [
    Fault("POST", "comments", status=502, applied=True),
    Fault("POST", "comments", status=502),
    Fault("POST", "comments", Kind.DROP, applied=True),
    Fault("POST", "comments", Kind.DROP),
    Fault("POST", "comments", Kind.CUT),
    Fault("POST", "comments", status=500, applied=True, times=3),
]


def bodies(server: GitHubServer) -> list[str]:
    return [comment.body for comment in server.state.repositories[0].comments]


def sent(server: GitHubServer, method: str) -> int:
    return len([request for request in server.requests if request.method == method])


def limited(status: int, headers: dict[str, str], message: str = SECONDARY, times: int = 1) -> list[Fault]:
    return [
        Fault(method, path, status=status, headers=headers, message=message, times=times)
        for method, path in (("GET", "comments/"), ("PATCH", "comments/"), ("POST", "comments"))
    ]


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("headers", "message", "waited"),
    [
        ({"Retry-After": "7"}, "Slow down", 7.0),
        ({}, SECONDARY, 60.0),
        (RESET, PRIMARY, 31.0),
        ({"Retry-After": "7", **RESET}, PRIMARY, 7.0),
    ],
)
def test_b4_a_rate_limit_is_waited_for_as_it_says(
    status: int, headers: dict[str, str], message: str, waited: float
) -> None:
    for change in ("create", "edit", "read"):
        clock = Clock()
        faults = {"create": 2, "edit": 1, "read": 0}[change]
        fault = limited(status, headers, message)[faults]
        with opened(one_pull(comments=[Comment(1, 5, "old")]), fault, policy=clock.policy()) as (server, github):
            act(github, change)
            assert bodies(server) == {"create": ["old", BODY], "edit": [BODY], "read": [BODY]}[change]
            assert clock.slept == [waited]


def act(github: GitHub, change: str) -> None:
    if change == "create":
        github.create_comment(NAME, 5, BODY, MARKER)
    else:
        github.edit_comment(NAME, 1, BODY)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (403, {"Retry-After": "3600"}),
        (429, {"Retry-After": "3600"}),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700003600"}),
        (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700003600"}),
    ],
)
def test_b4_a_rate_limit_that_ends_too_late_is_an_error_at_once(status: int, headers: dict[str, str]) -> None:
    clock = Clock()
    with opened(one_pull(), *limited(status, headers), policy=clock.policy()) as (server, github):
        with pytest.raises(RateLimitedError, match=r"the limit ends in 360[01] seconds; nothing was lost"):
            github.create_comment(NAME, 5, BODY, MARKER)
        assert (clock.slept, bodies(server), sent(server, "POST")) == ([], [], 1)


def test_b4_all_waits_together_stay_within_the_budget() -> None:
    clock = Clock()
    faults = limited(429, {"Retry-After": "50"}, times=9)
    with opened(one_pull(), *faults, policy=clock.policy(attempts=9, budget=120)) as (_, github):
        with pytest.raises(RateLimitedError):
            github.create_comment(NAME, 5, BODY, MARKER)
        with pytest.raises(RateLimitedError):
            github.create_comment(NAME, 5, BODY, MARKER)
    assert clock.slept == [50, 50]


def test_b4_a_secondary_limit_without_header_is_waited_for_longer_each_time() -> None:
    clock = Clock()
    policy = clock.policy(attempts=9)
    with (
        opened(one_pull(), *limited(429, {}, times=9), policy=policy) as (_, github),
        pytest.raises(RateLimitedError),
    ):
        github.create_comment(NAME, 5, BODY, MARKER)
    assert clock.slept == [60, 120]


def test_a_403_without_a_limit_is_not_repeated() -> None:
    fault = Fault("GET", "comments", status=403, message="Resource not accessible by integration", times=9)
    with opened(one_pull(), fault) as (server, github):
        with pytest.raises(ForbiddenError, match="not accessible"):
            github.list_comments(NAME, 5)
        assert len(server.requests) == 2


@pytest.mark.parametrize("fault", LOST, ids=str)
def test_b1_b5_a_lost_answer_never_makes_two_comments(fault: Fault) -> None:
    with opened(one_pull(comments=[Comment(1, 5, MARKER, "stranger")]), fault.copy()) as (server, github):
        created = github.create_comment(NAME, 5, BODY, MARKER)
        assert bodies(server) == [MARKER, BODY]
        assert created.id == server.state.repositories[0].comments[1].id


@pytest.mark.parametrize("fault", LOST[:5:2], ids=str)
def test_b1_a_comment_that_shows_up_late_stays_the_only_one(fault: Fault) -> None:
    late = Fault("GET", "5/comments", Kind.STALE)
    with opened(one_pull(), fault.copy(), late) as (server, github):
        created = github.create_comment(NAME, 5, BODY, MARKER)
        (kept,) = server.state.repositories[0].comments
        assert (kept.id, sent(server, "POST"), sent(server, "DELETE")) == (created.id, 2, 1)


def test_b1_an_issue_is_opened_once() -> None:
    with opened(one_pull(), Fault("POST", "issues", Kind.DROP, applied=True)) as (server, github):
        number = github.create_issue(NAME, "Upstream", BODY, MARKER)
        assert server.state.repositories[0].issues == [Issue(number, "Upstream", BODY)]


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("kind", [Kind.STATUS, Kind.DROP])
@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_b5_an_edit_is_repeated_until_it_can_be_read_back(method: str, kind: Kind, *, applied: bool) -> None:
    fault = Fault(method, "comments/1", kind, applied=applied, times=2)
    clock = Clock()
    with opened(one_pull(comments=[Comment(1, 5, "old")]), fault, policy=clock.policy()) as (server, github):
        assert github.edit_comment(NAME, 1, BODY).body == BODY
        assert (bodies(server), clock.slept) == ([BODY], [1, 2])


def test_an_edit_that_is_confirmed_but_forgotten_is_repeated_or_an_error() -> None:
    for times, waits in ((1, [1]), (9, [1, 2, 4])):
        clock = Clock()
        state, fault = one_pull(comments=[Comment(1, 5, "old")]), Fault("PATCH", "comments", Kind.FORGET, times=times)
        with opened(state, fault, policy=clock.policy()) as (_, github):
            if times == 1:
                assert github.edit_comment(NAME, 1, BODY).body == BODY
            else:
                with pytest.raises(GitHubError, match="GitHub does not show what was written"):
                    github.edit_comment(NAME, 1, BODY)
        assert clock.slept == waits


def test_a_stale_read_back_is_read_again() -> None:
    with opened(one_pull(comments=[Comment(1, 5, "old")]), Fault("GET", "comments/1", Kind.STALE)) as (_, github):
        assert github.edit_comment(NAME, 1, BODY).body == BODY


def test_an_issue_text_that_github_drops_without_a_word_is_an_error() -> None:
    with opened(one_pull(issues=[Issue(9, "t", "old")])) as (server, github):
        with pytest.raises(GitHubError, match="GitHub does not show what was written"):
            github.edit_issue(NAME, 9, "x" * 65_537)
        assert server.state.repositories[0].issues[0].body == "old"


@pytest.mark.parametrize("kind", [Kind.STATUS, Kind.DROP, Kind.CUT])
def test_b5_a_server_that_stays_down_is_an_error_after_a_few_tries(kind: Kind) -> None:
    clock = Clock()
    with opened(one_pull(), Fault("GET", "pulls/5", kind, times=99), policy=clock.policy()) as (server, github):
        with pytest.raises(UnreachableError, match="reading huggingface/transformers#5"):
            github.fetch_pull_request(NAME, 5)
        assert (sent(server, "GET"), clock.slept) == (1 + 4, [1, 2, 4])


def test_b5_a_failed_page_is_read_again_and_no_other() -> None:
    comments = [Comment(n, 5, f"text {n}") for n in range(250)]
    fault = Fault("GET", "comments", Kind.DROP, times=2, after=1)
    with opened(one_pull(comments=comments), fault) as (server, github):
        assert [comment.id for comment in github.list_comments(NAME, 5)] == list(range(250))
        pages = [request.query.get("page", "1") for request in server.requests[1:]]
    assert pages == ["1", "2", "2", "2", "3"]


def test_a_page_link_to_another_host_is_not_followed() -> None:
    with opened(one_pull(comments=[Comment(n, 5, "text") for n in range(150)])) as (server, github):
        github.fetch_pull_request(NAME, 5)
        server.url = "http://elsewhere.example"
        with pytest.raises(GitHubError, match="the answer is not valid"):
            github.list_comments(NAME, 5)


def test_an_answer_that_is_none_of_githubs_is_an_error() -> None:
    faults = [Fault(method, "(comments|pulls/5)$", status=200, message="<html>", times=9) for method in ("GET", "POST")]
    with opened(one_pull(), *faults) as (_, github):
        for ask in (
            lambda: github.fetch_pull_request(NAME, 5),
            lambda: github.list_comments(NAME, 5),
            lambda: github.create_comment(NAME, 5, BODY, MARKER),
        ):
            with pytest.raises(GitHubError, match="the answer is not valid"):
                ask()


def test_b9_a_repository_that_moves_meanwhile_is_an_error_not_a_success() -> None:
    with opened(one_pull(comments=[Comment(1, 5, "old")])) as (server, github):
        github.list_comments(NAME, 5)
        server.state.repositories[0].name, server.state.repositories[0].moved = "new/name", [NAME]
        with pytest.raises(GitHubError, match="the answer is not valid"):
            github.create_comment(NAME, 5, BODY, MARKER)
        with pytest.raises(GitHubError, match="GitHub does not show what was written"):
            github.edit_comment(NAME, 1, BODY)
        assert bodies(server) == ["old"]


@pytest.mark.parametrize("kind", [Kind.STATUS, Kind.DROP])
def test_annotations_are_never_doubled(kind: Kind) -> None:
    remarks = tuple(Annotation("src/a.py", n, n, f"line {n}") for n in range(1, 121))
    check = CheckRun("zero3", "b" * 40, "failure", "2 regressed", "in words", annotations=remarks)
    faults = [Fault(method, "check-runs", kind, applied=True) for method in ("POST", "PATCH")]
    with opened(one_pull(), *faults) as (server, github):
        github.put_check_run(NAME, check)
        (made,) = server.state.repositories[0].checks
    assert [remark["start_line"] for remark in made.annotations] == list(range(1, 121))


def test_a_dispatch_is_only_repeated_when_it_was_refused() -> None:
    with opened(one_pull(), Fault("POST", "dispatches", Kind.DROP, applied=True)) as (server, github):
        with pytest.raises(UnreachableError, match=r"starting pull-request\.yml"):
            github.dispatch(NAME, "pull-request.yml", "main", {})
        assert len(server.state.repositories[0].dispatches) == 1
    refusal = Fault("POST", "dispatches", status=429, headers={"Retry-After": "3"})
    with opened(one_pull(), refusal) as (server, github):
        github.dispatch(NAME, "pull-request.yml", "main", {})
        assert len(server.state.repositories[0].dispatches) == 1


def test_a_workflow_run_is_rerun_once() -> None:
    with opened(one_pull(runs=[Run(3)]), Fault("POST", "rerun", Kind.DROP, applied=True)) as (server, github):
        github.rerun(NAME, 3)
        assert (server.state.repositories[0].runs[0].attempt, sent(server, "POST")) == (2, 1)


@pytest.mark.parametrize(
    "fault",
    [Fault("GET", "/blobs", kind, status=403) for kind in (Kind.STATUS, Kind.DROP, Kind.CUT)]
    + [Fault("GET", "/zip", kind) for kind in (Kind.STATUS, Kind.DROP)],
    ids=str,
)
def test_b5_an_archive_is_whole_or_asked_for_again(fault: Fault) -> None:
    with opened(one_pull(artifacts=[Artifact(8, 3, "zero3-a", b"PK" * 5000)]), fault) as (_, github):
        assert github.download_artifact(NAME, 8, 10_000) == b"PK" * 5000


def test_the_signed_address_of_an_archive_is_in_no_message() -> None:
    fault = Fault("GET", "/blobs", status=403, times=9)
    with opened(one_pull(artifacts=[Artifact(8, 3, "zero3-a", b"PK")]), fault) as (_, github):
        with pytest.raises(UnreachableError, match="downloading artifact 8") as raised:
            github.download_artifact(NAME, 8, 100)
        assert "sig" not in str(raised.value)


def test_b4_a_429_needs_no_words() -> None:
    clock = Clock()
    fault = Fault("POST", "comments", status=429, message="Too many")
    with opened(one_pull(), fault, policy=clock.policy()) as (server, github):
        github.create_comment(NAME, 5, BODY, MARKER)
        assert (clock.slept, bodies(server)) == ([60], [BODY])


def test_an_archive_that_does_not_tell_its_size_is_cut_off_at_the_limit() -> None:
    fault = Fault("GET", "/blobs", Kind.UNSIZED, times=2)
    with opened(one_pull(artifacts=[Artifact(8, 3, "zero3-a", b"x" * 200_000)]), fault) as (server, github):
        assert len(github.download_artifact(NAME, 8, 200_000)) == 200_000
        with pytest.raises(TooLargeError, match="has more than the limit of 199,999 bytes"):
            github.download_artifact(NAME, 8, 199_999)
        assert len(server.downloads) == 2


def test_b10_a_token_that_ended_is_an_error_that_does_not_quote_it() -> None:
    with opened(one_pull()) as (server, github):
        github.list_comments(NAME, 5)
        server.state.tokens.clear()
        with pytest.raises(ExpiredTokenError, match="Bad credentials") as raised:
            github.create_comment(NAME, 5, BODY, MARKER)
        assert (bodies(server), sent(server, "POST")) == ([], 1)
        assert "ghp_secret" not in str(raised.value)


def test_writes_keep_a_pause_and_reads_do_not() -> None:
    clock = Clock()
    policy = RetryPolicy(pause=1.0, sleep=clock.sleep, clock=clock.time)
    with opened(one_pull(), policy=policy) as (_, github):
        for number in range(3):
            github.create_comment(NAME, 5, f"text {number}", f"text {number}")
            github.list_comments(NAME, 5)
    assert clock.slept == [1.0, 1.0]


def test_every_request_says_which_api_it_means() -> None:
    with opened(one_pull()) as (server, github):
        github.create_comment(NAME, 5, BODY, MARKER)
        assert {request.headers["x-github-api-version"] for request in server.requests} == {"2022-11-28"}
        assert {request.headers["user-agent"] for request in server.requests} == {"zero3-matrix"}


def test_the_default_patience_ends_within_a_jobs_time() -> None:
    policy = RetryPolicy()
    assert (policy.sleep, policy.clock) == (time.sleep, time.time)
    assert policy.longest <= policy.budget <= 600

"""The one comment of a pull request over HTTP, whatever happens on the way: exactly one right one, or a clear failure."""

from collections.abc import Callable, Iterator

import pytest
from github import Auth

from bot.comment.post import LIMITS, post_comment
from bot.comment.state import MARKER, CommentState, Headline
from bot.github.client import GitHub
from bot.github.errors import GitHubError
from bot.github.retries import RetryPolicy
from bot.github.thread import Thread
from tests.support.github.faults import Fault, Kind
from tests.support.github.server import GitHubServer, serving
from tests.support.github.state import BOT, Comment, Pull, Repository, State

UP = "huggingface/transformers"
A, B, C = (letter * 40 for letter in "abc")
COMMENTS, COMMENT = r"/issues/5/comments$", r"/issues/comments/\d+$"


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    with serving(State([Repository(UP, pulls=[Pull(5)])])) as running:
        yield running
    assert not running.violations


def thread(server: GitHubServer, number: int = 5) -> Thread:
    policy = RetryPolicy(pause=0, sleep=lambda _seconds: None)
    return Thread(GitHub(Auth.Token("ghp_secret"), server.url, policy, login=BOT), UP, number)


def result(headline: str = "green", head: str = A, run: int = 7) -> CommentState:
    return CommentState(head=head, base=C, run=run, attempt=1, headline=Headline(headline), since=head)


def body(state: CommentState, *, limit: int) -> str:
    return f"{state.headline} at {state.head} since {state.since}"[:limit]


def standing(server: GitHubServer) -> list[str]:
    """The first lines of the comments that claim to be the result."""
    known = server.state.repositories[0].comments
    return [comment.body.splitlines()[0] for comment in known if MARKER.parse(comment.body)]


def writes(server: GitHubServer) -> int:
    return sum(request.method != "GET" for request in server.requests)


def test_the_first_result_is_posted_and_said_once(server: GitHubServer) -> None:
    for repetition in range(3):
        words = post_comment(thread(server), result(), body)
        assert words.startswith("The comment was not changed" if repetition else "Posted https://github.com/")
    assert standing(server) == [f"green at {A} since {A}"]
    assert writes(server) == 1


def test_the_next_results_are_edited_in(server: GitHubServer) -> None:
    post_comment(thread(server), result("regressed", A), body)
    assert post_comment(thread(server), result("regressed", B, 8), body).startswith("Updated https://github.com/")
    assert [comment.body.splitlines()[0] for comment in server.state.repositories[0].comments] == [
        f"regressed at {B} since {A}"
    ]


def test_worse_after_green_is_a_new_comment_and_the_old_one_links_to_it(server: GitHubServer) -> None:
    post_comment(thread(server), result(), body)
    post_comment(thread(server), result("regressed", B, 8), body)
    old, new = server.state.repositories[0].comments
    assert old.body == f"Superseded by [a newer result](https://github.com/{UP}/pull/5#issuecomment-{new.id})."
    assert standing(server) == [f"regressed at {B} since {B}"]


def test_runs_that_finish_out_of_order_leave_the_newer_result(server: GitHubServer) -> None:
    post_comment(thread(server), result("green", B, 8), body)
    assert "newer run 8" in post_comment(thread(server), result("regressed", A, 7), body)
    assert standing(server) == [f"green at {B} since {B}"]


@pytest.mark.parametrize("newer", [True, False])
def test_two_reports_at_once_leave_one_comment(server: GitHubServer, *, newer: bool) -> None:
    def meanwhile(state: CommentState, *, limit: int) -> str:
        post_comment(thread(server), result("regressed", B, 8 if newer else 6), body)
        return body(state, limit=limit)

    post_comment(thread(server), result("green", A, 7), meanwhile)
    assert standing(server) == [f"regressed at {B} since {B}" if newer else f"green at {A} since {A}"]


def test_a_comment_deleted_under_way_is_written_again(server: GitHubServer) -> None:
    def deleting(state: CommentState, *, limit: int) -> str:
        server.state.repositories[0].comments.clear()
        return body(state, limit=limit)

    post_comment(thread(server), result("regressed"), body)
    assert post_comment(thread(server), result("regressed", B, 8), deleting).startswith("Posted")
    assert standing(server) == [f"regressed at {B} since {B}"]


@pytest.mark.parametrize("headline", ["green", "regressed"])
@pytest.mark.parametrize("method", ["POST", "PATCH", "GET"])
@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("kind", [Kind.DROP, Kind.CUT, Kind.STATUS])
@pytest.mark.parametrize("times", [1, 99])
def test_after_every_failure_there_is_one_right_comment_or_none(
    server: GitHubServer, headline: str, method: str, kind: Kind, times: int, *, applied: bool
) -> None:
    post_comment(thread(server), result(), body)
    server.faults.append(Fault(method, f"{COMMENTS}|{COMMENT}", kind, applied=applied, times=times))
    try:
        post_comment(thread(server), result(headline, B, 8), body)
    except GitHubError:
        assert times > 1
    server.faults.clear()
    post_comment(thread(server), result(headline, B, 8), body)
    assert standing(server) == [f"{headline} at {B} since {A if headline == 'green' else B}"]


def lock(state: State) -> None:
    state.repositories[0].pulls[0].locked = True


def close(state: State) -> None:
    state.repositories[0].pulls.clear()


@pytest.mark.parametrize("happens", [lock, close])
def test_where_no_comment_can_be_the_summary_says_so(server: GitHubServer, happens: Callable[[State], None]) -> None:
    happens(server.state)
    words = post_comment(thread(server), result(), body)
    assert words.startswith("The result could not be posted as a comment: error from GitHub while ")
    assert not standing(server)


@pytest.mark.parametrize("longest", [LIMITS[1], LIMITS[-1], 0])
def test_a_body_that_github_finds_too_long_is_asked_for_again_shorter(server: GitHubServer, longest: int) -> None:
    def wordy(_state: CommentState, *, limit: int) -> str:
        return "x" * (limit if limit <= longest else 70_000)

    words = post_comment(thread(server), result(), wordy)
    assert words.startswith("Posted" if longest else "The result could not be posted as a comment: ")
    assert [len(line) for line in standing(server)] == ([longest] if longest else [])


def test_ours_is_found_behind_many_others_and_between_forgeries(server: GitHubServer) -> None:
    post_comment(thread(server), result("regressed"), body)
    known = server.state.repositories[0].comments
    mine = known[0]
    others = [Comment(number, 5, f"Comment {number}", "contributor") for number in range(250)]
    others[7].body = others[249].body = mine.body
    known[:] = [*others[:120], mine, *others[120:]]
    post_comment(thread(server), result("regressed", B, 8), body)
    assert mine.body.startswith(f"regressed at {B} since {A}")
    assert len(known) == 251


def test_a_muted_comment_is_not_touched(server: GitHubServer) -> None:
    post_comment(thread(server), result(), body)
    comment = server.state.repositories[0].comments[0]
    comment.body = comment.body.replace('"muted":false', '"muted":true')
    assert post_comment(thread(server), result("regressed", B, 8), body) == "The comment was not changed: it is muted."
    assert standing(server) == [f"green at {A} since {A}"]

"""Commands in comments: who may use them, and what they do."""

import re
import string
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from github import Auth

from bot.comment.state import MARKER, CommentState, Headline
from bot.github.client import GitHub
from bot.github.events import CommentEvent, EventAccount, EventComment, EventIssue, HomeRepository
from bot.github.retries import RetryPolicy
from bot.github.thread import Thread
from bot.pull_requests.comment_commands import (
    parse_command,
)
from bot.pull_requests.execute_command import answer_comment
from bot.pull_requests.services import Services
from bot.pull_requests.subject import MeasuringWorkflow
from bot.settings import Budget, Settings
from bot.text import render_markdown_code
from matrix.catalog.catalog import load_catalog
from tests.support.github.faults import Fault
from tests.support.github.server import GitHubServer, serving
from tests.support.github.state import BOT, Comment, Pull, Repository, State
from tests.support.github.state import Run as WorkflowRun

OWN, HEAD, BASE = "own/zero3", "b" * 40, "a" * 40
CATALOG = load_catalog()
SETTINGS = Settings(BOT, (), (), Budget(9, 9, 99))


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    pulls = [Pull(5, head_sha=HEAD, base_sha=BASE)]
    permissions = {"ada": ("write", "maintain"), "bob": ("read", "triage"), "eve": ("read", "read")}
    home = Repository(OWN, pulls=pulls, runs=[WorkflowRun(7)], permissions=permissions)
    with serving(State([home])) as running:
        yield running
    assert not running.violations


def said(server: GitHubServer, body: str, user: str = "ada", comment: int = 77) -> str:
    """What the bot replies to `body`; empty when it does not."""
    written = EventComment(comment, body, EventAccount(user, "Bot" if user.endswith("[bot]") else "User"))
    home = HomeRepository(1, OWN, "main")
    answer_comment(
        CommentEvent("created", EventIssue(5, "open", {}), written, home),
        services(server),
        CATALOG,
        "About {}.".format,
    )
    for marker in (f"\n\n<!-- zero3-reply {comment} -->", "\n\n<!-- zero3-reply to those without write access -->"):
        replies = [each.body for each in comments(server) if each.body.endswith(marker)]
        assert len(replies) <= 1
        if replies:
            return replies[0].removesuffix(marker)
    return ""


def services(server: GitHubServer) -> Services:
    policy = RetryPolicy(pause=0, sleep=lambda _seconds: None)
    github = GitHub(Auth.Token("ghp_secret"), server.url, policy, login=BOT)
    return Services(github, OWN, MeasuringWorkflow(OWN), SETTINGS)


def comments(server: GitHubServer) -> list[Comment]:
    return server.state.repositories[0].comments


def dispatches(server: GitHubServer) -> list[dict[str, str]]:
    return [each["inputs"] for each in server.state.repositories[0].dispatches]


def standing(server: GitHubServer, head: str = HEAD) -> Comment:
    """The result of run 7 in a comment."""
    state = CommentState(head=head, base=BASE, run=7, attempt=1, headline=Headline.GREEN, since=head)
    comments(server).append(Comment(50, 5, MARKER.sign("All right.", state)))
    return comments(server)[-1]


def test_run_measures_the_head_of_this_moment(server: GitHubServer) -> None:
    assert said(server, "/zero3 run").startswith(f"Measuring `{HEAD[:12]}`. ")
    assert dispatches(server) == [{"repository": OWN, "number": "5", "base": BASE, "head": HEAD, "selector": ""}]
    assert server.state.repositories[0].dispatches[0]["workflow"] == "pull-request.yml"
    assert server.state.repositories[0].dispatches[0]["ref"] == "main"


def test_run_takes_a_selector_that_the_catalog_knows(server: GitHubServer) -> None:
    assert "only `align:* dots1`" in said(server, "/zero3 run align:*, dots1")
    assert [each["selector"] for each in dispatches(server)] == ["align:* dots1"]


@pytest.mark.parametrize(
    "selector", ["aling", "--help", "$(id)", "`x`", "a;b", "a\u202eb", "@all", "x" * 200, "align " * 11, "../align"]
)
def test_run_starts_nothing_for_what_the_catalog_does_not_know(server: GitHubServer, selector: str) -> None:
    reply = said(server, f"/zero3 run {selector}")
    assert reply.startswith("I do not know the architecture ")
    assert not dispatches(server)
    outside = re.sub("`[^`]*`|<code>.*?</code>", "", reply)
    assert set(outside) <= {*string.ascii_letters, *" .,?"}


def test_close_matches_are_named(server: GitHubServer) -> None:
    reply = said(server, "/zero3 explain aling")
    assert reply.startswith("I do not know the architecture `aling`. Did you mean `align:AlignModel`")


@pytest.mark.parametrize("user", ["bob", "eve", "stranger"])
@pytest.mark.parametrize("command", ["run", "rerun", "explain align", "mute", "unmute", "help"])
def test_who_may_not_write_gets_a_polite_no(server: GitHubServer, user: str, command: str) -> None:
    before = standing(server).body
    assert said(server, f"/zero3 {command}", user).startswith("Thank you for asking. Only people with write access")
    assert not dispatches(server)
    assert server.state.repositories[0].runs == [WorkflowRun(7)]
    assert comments(server)[0].body == before


def test_strangers_get_one_reply_together_and_few_requests(server: GitHubServer) -> None:
    for number in range(60):
        said(server, "/zero3 run", f"stranger-{number}", comment=number)
    assert len(comments(server)) == 1
    assert len(server.requests) <= 60 * 3 + 2  # the reply is written, and looked for again
    said(server, "/zero3 run")
    assert len(dispatches(server)) == 1


def test_strangers_who_write_at_the_same_moment_get_one_reply(
    server: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Thread, "holds", lambda *_: False)  # neither job sees the reply of the other
    for number in range(2):
        said(server, "/zero3 run", f"stranger-{number}", comment=number)
    assert len(comments(server)) == 1


def test_a_comment_is_answered_once(server: GitHubServer) -> None:
    for _ in range(3):
        said(server, "/zero3 run")
    assert len(dispatches(server)) == len(comments(server)) == 1
    said(server, "/zero3 run", comment=78)
    assert len(dispatches(server)) == 2


def test_a_reply_somebody_else_wrote_is_none_of_ours(server: GitHubServer) -> None:
    comments(server).append(Comment(1, 5, "Done.\n\n<!-- zero3-reply 77 -->.", "eve"))
    assert said(server, "/zero3 run")


@pytest.mark.parametrize("user", [BOT, "dependabot[bot]"])
def test_bots_command_nothing(server: GitHubServer, user: str) -> None:
    assert not said(server, "/zero3 run", user)


@pytest.mark.parametrize(
    "change",
    [
        {"action": "edited"},
        {"issue": EventIssue(5, "closed", {})},
        {"issue": EventIssue(5, "open")},
        {"comment": EventComment(77, "Nice work", EventAccount("ada", "User"))},
        {"comment": EventComment(77, "/zero3 run", None)},
    ],
)
def test_everything_else_is_left_alone_without_a_request(server: GitHubServer, change: dict[str, Any]) -> None:
    asked = EventComment(77, "/zero3 run", EventAccount("ada", "User"))
    event = replace(CommentEvent("created", EventIssue(5, "open", {}), asked, HomeRepository(1, OWN, "main")), **change)
    assert answer_comment(event, services(server), CATALOG, str).startswith("nothing to do")
    assert not server.requests


def test_rerun_repeats_the_run_that_the_comment_reports(server: GitHubServer) -> None:
    standing(server)
    assert said(server, "/zero3 rerun").startswith(f"Measuring `{HEAD[:12]}` again.")
    assert server.state.repositories[0].runs[0].attempt == 2
    assert said(server, "/zero3 rerun", comment=78) == f"The run of `{HEAD[:12]}` is not finished yet."
    assert not dispatches(server)


@pytest.mark.parametrize("head", ["", "d" * 40])
def test_rerun_starts_again_without_a_run_of_this_head(server: GitHubServer, head: str) -> None:
    if head:
        standing(server, head)
    assert said(server, "/zero3 rerun").startswith(f"Measuring `{HEAD[:12]}`. ")
    assert [each["head"] for each in dispatches(server)] == [HEAD]


def test_rerun_starts_again_where_github_does_not_repeat_any_more(server: GitHubServer) -> None:
    standing(server)
    server.faults.append(Fault("POST", "/rerun$", status=403, message="Unable to re-run this workflow run"))
    assert said(server, "/zero3 rerun").startswith(f"Measuring `{HEAD[:12]}`. ")
    assert len(dispatches(server)) == 1


def test_explain_shows_a_few(server: GitHubServer) -> None:
    assert said(server, "/zero3 explain align") == "About align:AlignModel."
    many = said(server, "/zero3 explain *", comment=78)
    assert many.count("About") == 3
    assert many.endswith(f"{len(CATALOG) - 3} more architectures not shown: name one of them to see it.")


def test_mute_and_unmute_change_only_the_marker(server: GitHubServer) -> None:
    comment = standing(server)
    before = comment.body
    assert said(server, "/zero3 mute").startswith("I will not update my comment any more")
    found = MARKER.parse(comment.body)
    assert found
    assert found.muted
    assert said(server, "/zero3 unmute", comment=78).startswith("I will update my comment")
    assert comment.body == before


def test_nothing_can_be_muted_before_there_is_a_comment(server: GitHubServer) -> None:
    assert said(server, "/zero3 mute") == "I have not commented here yet."


@pytest.mark.parametrize(
    ("command", "first"),
    [
        ("", "I know these commands:"),
        ("rnu", "I do not know `rnu`. Did you mean `run`"),
        ("<img>", f"I do not know {render_markdown_code('<img>')}."),
        ("a`@all`", f"I do not know {render_markdown_code('a`@all`')}."),
    ],
)
def test_unknown_words_get_the_help(server: GitHubServer, command: str, first: str) -> None:
    reply = said(server, f"/zero3 {command}")
    assert reply.startswith(first)
    assert reply.count("\n- `/zero3 ") == 5
    assert parse_command(reply) is None

"""Watching upstream: settings, what the tracking issue remembers, and rounds over HTTP."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cmarkgfm
import pytest
from github import Auth
from hypothesis import given
from hypothesis import strategies as st

from bot.comment.state import Headline
from bot.github.client import GitHub
from bot.github.errors import GitHubError
from bot.github.retries import RetryPolicy
from bot.github.types import Change, PullRequest, Revision
from bot.loading_code.affected import find_affected
from bot.pull_requests.services import Services
from bot.pull_requests.subject import MeasuringWorkflow
from bot.pull_requests.tracking_issue import (
    ENTRIES,
    JUDGED,
    MARKER,
    Cursor,
    TrackedResult,
    TrackingState,
    render_tracking_issue,
)
from bot.pull_requests.watch import list_result, read_state, watch
from bot.settings import SETTINGS, Budget, Settings, load_settings
from matrix.errors import DataFileError
from tests.support.github.faults import Fault
from tests.support.github.server import GitHubServer, serving
from tests.support.github.state import BOT, File, Issue, Pull, Repository, State

IDLE = Settings(BOT, (), (), Budget(9, 9, 99))
UP, HEAD = "huggingface/transformers", "0123456789" * 4
ENTRY = TrackedResult(UP, 45402, HEAD, Headline.REGRESSED, 7, 1, "https://github.com/own/zero3/actions/runs/7")


def pull(number: int, head: str = HEAD, updated: str = "2026-11-22T10:00:00Z") -> PullRequest:
    return PullRequest(UP, number, Revision(UP, "b" * 40), Revision("fork/transformers", head), "x", updated=updated)


def test_the_settings_of_the_project_are_read() -> None:
    settings = load_settings()
    assert UP in settings.watch
    assert settings.may_comment("own/Zero3", "Own/zero3")
    assert not any(settings.may_comment(repository, "own/zero3") for repository in settings.watch)
    assert replace(settings, comment=(UP,)).may_comment(UP.upper(), "own/zero3")


@pytest.mark.parametrize("repository", load_settings().watch)
def test_every_watched_repository_can_be_assessed(repository: str) -> None:
    assert not find_affected(Change(repository, (), 0))


def test_all_mistakes_of_the_settings_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(
        'login = "a b"\nwatch = ["x", "a/b"]\ncomments = []\n[budget]\npull_requests = "9"\ndispatches = 0\n'
    )
    with pytest.raises(DataFileError) as raised:
        load_settings(path)
    named = [line.removeprefix(f"{path}: ").partition(":")[0] for line in str(raised.value).splitlines()]
    wanted = ["login", "watch.0", "comment", "comments", "budget.pull_requests", "budget.dispatches", "budget.requests"]
    assert sorted(named) == sorted(wanted)


def test_mistakes_about_the_night_are_told_too(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(SETTINGS.read_text() + "nights = 3\n")
    with pytest.raises(DataFileError, match=r"nightly\.nights: "):
        load_settings(path)
    path.write_text(
        SETTINGS.read_text()
        .replace('device = "cuda"', 'device = "tpu"')
        .replace("shards = 8", "shards = 300")
        .replace("oldest = 30", "oldest = 40")
    )
    with pytest.raises(DataFileError, match=r"(?s)nightly\.device: .*nightly\.shards: .*nightly\.oldest: "):
        load_settings(path)


@pytest.mark.parametrize("text", ["login = ", "\xff"])
def test_settings_that_are_not_toml_are_an_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataFileError, match=r"settings\.toml: "):
        load_settings(path)


def test_a_ledger_is_read_back_from_its_text() -> None:
    cursor = Cursor("2026-11-22T10:00:00Z").with_head(pull(1)).with_head(pull(2))
    ledger = TrackingState().with_cursor(UP, cursor).with_entry(ENTRY)
    assert MARKER.parse(render_tracking_issue(ledger)) == ledger


def test_the_fullest_ledger_fits_into_an_issue() -> None:
    ledger = TrackingState()
    for repository in range(8):
        cursor = Cursor("2026-11-22T10:00:00Z")
        for number in range(JUDGED + 10):
            cursor = cursor.with_head(pull(10**7 + number))
        assert len(cursor.judged) == JUDGED
        ledger = ledger.with_cursor(f"{'o' * 30}/{'r' * 30}{repository}", cursor)
    for number in range(ENTRIES + 10):
        ledger = ledger.with_entry(replace(ENTRY, number=10**7 + number, run=10**12 + number))
    assert len(ledger.entries) == ENTRIES
    assert ledger.entries[0].number == 10**7 + ENTRIES + 9
    assert len(render_tracking_issue(ledger)) < 60_000
    assert MARKER.parse(render_tracking_issue(ledger)) == ledger


def test_a_cursor_knows_heads_and_not_just_numbers() -> None:
    cursor = Cursor("2026-11-22T10:00:00Z").with_head(pull(1))
    assert cursor.knows(pull(1, updated="2026-11-23T10:00:00Z"))
    assert not cursor.knows(pull(1, head="f" * 40))
    assert not cursor.knows(pull(2))


@pytest.mark.parametrize(("run", "attempt", "kept"), [(6, 9, 7), (7, 1, 7), (8, 1, 8)])
def test_an_entry_is_replaced_by_newer_runs_only(run: int, attempt: int, kept: int) -> None:
    newer = replace(ENTRY, repository=UP.upper(), run=run, attempt=attempt)
    assert [entry.run for entry in TrackingState().with_entry(ENTRY).with_entry(newer).entries] == [kept]


def test_the_tracking_issue_notifies_nobody_upstream() -> None:
    text = render_tracking_issue(TrackingState().with_entry(ENTRY)).partition(MARKER.start)[0]
    assert "https://redirect.github.com/huggingface/transformers/pull/45402" in text
    assert "//github.com/huggingface" not in text
    assert not set("@#") & set(text)
    html = cmarkgfm.github_flavored_markdown_to_html(text)
    assert html.count("<td>") == 4
    assert '<a href="https://github.com/own/zero3/actions/runs/7">run 7</a>' in html


@given(st.text(alphabet=st.sampled_from('<!-- zero3-tracking {"cursors":{},entries[]} -->\n')) | st.text())
def test_no_issue_breaks_the_reader(body: str) -> None:
    assert MARKER.parse(body) in (None, TrackingState())


OWN = "own/zero3"
NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
LOADING, OTHER = [File("src/transformers/modeling_utils.py")], [File("docs/a.md")]


def upstream(number: int, files: list[File], minute: int, head: str = "") -> Pull:
    updated = f"2026-11-22T11:{minute:02d}:00Z"
    return Pull(number, head_sha=head or f"{number:040x}", files=files, updated=updated)


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    with serving(State([Repository(OWN), Repository(UP), Repository("deepspeedai/DeepSpeed")])) as running:
        yield running
    assert not running.violations


def pulls(server: GitHubServer) -> list[Pull]:
    return server.state.repositories[1].pulls


def services(server: GitHubServer, settings: Settings = IDLE) -> Services:
    policy = RetryPolicy(pause=0, sleep=lambda _seconds: None)
    github = GitHub(Auth.Token("ghp_secret"), server.url, policy, login=BOT)
    return Services(github, OWN, MeasuringWorkflow(OWN), settings)


def touches(change: Change) -> bool:
    return any(file.path.startswith("src/") for file in change.files)


def rounds(
    server: GitHubServer, pull_requests: int = 50, dispatches: int = 5, requests: int = 100
) -> tuple[int, list[int]]:
    """How many pull requests of transformers a watch run assesses, and which it starts."""
    settings = Settings(BOT, (UP,), (), Budget(pull_requests, dispatches, requests))
    (watched,) = watch(services(server, settings), touches, NOW)
    assert not watched.problem
    return watched.assessed, list(watched.started)


def started(server: GitHubServer) -> list[int]:
    return [int(each["inputs"]["number"]) for each in server.state.repositories[0].dispatches]


def test_only_what_touches_loading_code_is_measured_and_only_once(server: GitHubServer) -> None:
    pulls(server).extend([upstream(1, LOADING, 1), upstream(2, OTHER, 2), upstream(3, LOADING, 3)])
    assert rounds(server) == (3, [1, 3])
    assert rounds(server) == (0, [])
    assert started(server) == [1, 3]
    assert server.state.repositories[0].dispatches[0] == {
        "workflow": "pull-request.yml",
        "ref": "main",
        "inputs": {"repository": UP, "number": "1", "base": "a" * 40, "head": f"{1:040x}", "selector": ""},
    }
    assert len(server.state.repositories[0].issues) == 1


def test_a_push_is_assessed_again_and_a_remark_is_not(server: GitHubServer) -> None:
    pulls(server).append(upstream(1, LOADING, 1))
    rounds(server)
    pulls(server)[0].updated = "2026-11-22T11:10:00Z"
    assert rounds(server) == (0, [])
    pulls(server)[0].updated, pulls(server)[0].head_sha = "2026-11-22T11:20:00Z", "e" * 40
    assert rounds(server) == (1, [1])


@pytest.mark.parametrize("same_second", [True, False])
@pytest.mark.parametrize("budget", [{"pull_requests": 2}, {"dispatches": 1}, {"requests": 5}])
def test_a_budget_ends_a_round_and_loses_nothing(
    server: GitHubServer, budget: dict[str, int], *, same_second: bool
) -> None:
    kinds = [LOADING, OTHER, LOADING, OTHER, OTHER, LOADING, LOADING]
    pulls(server).extend(upstream(n, files, 1 if same_second else n) for n, files in enumerate(kinds, start=1))
    done = [rounds(server, **budget) for _ in range(6)]
    assert sum(assessed for assessed, _ in done) == len(kinds)
    assert sorted(number for _, numbers in done for number in numbers) == [1, 3, 6, 7]
    assert len([assessed for assessed, _ in done if assessed]) > 2
    assert sorted(started(server)) == [1, 3, 6, 7]


def test_a_diff_that_github_cannot_make_counts_as_loading_code(server: GitHubServer) -> None:
    pulls(server).append(upstream(1, OTHER, 1))
    server.faults.append(Fault("GET", "/pulls/1/files", times=99))
    assert rounds(server) == (1, [1])


def test_a_pull_request_that_is_gone_holds_up_nothing(server: GitHubServer) -> None:
    pulls(server).extend([upstream(1, LOADING, 1), upstream(2, LOADING, 2)])
    server.faults.append(Fault("GET", "/pulls/1/files", status=404, message="Not Found"))
    assert rounds(server) == (2, [2])


def test_what_could_not_be_started_is_tried_again(server: GitHubServer) -> None:
    pulls(server).extend([upstream(1, LOADING, 1), upstream(2, LOADING, 2)])
    server.faults.append(Fault("POST", "/dispatches", after=1, times=99))
    settings = Settings(BOT, (UP,), (), Budget(9, 9, 99))
    (watched,) = watch(services(server, settings), touches, NOW)
    assert (watched.started, bool(watched.problem)) == ((1,), True)
    server.faults.clear()
    assert rounds(server) == (1, [2])
    assert started(server) == [1, 2]


def test_what_was_started_is_remembered_even_if_the_job_is_killed(server: GitHubServer) -> None:
    def killed(change: Change) -> bool:
        if started(server):
            raise KeyboardInterrupt
        return touches(change)

    pulls(server).extend([upstream(1, LOADING, 1), upstream(2, LOADING, 2)])
    with pytest.raises(KeyboardInterrupt):
        watch(services(server, Settings(BOT, (UP,), (), Budget(9, 9, 99))), killed, NOW)
    assert rounds(server) == (1, [2])
    assert started(server) == [1, 2]


def test_one_repository_in_trouble_does_not_stop_the_others(server: GitHubServer) -> None:
    server.state.repositories[2].pulls.append(upstream(8, LOADING, 1))
    settings = Settings(BOT, ("gone/away", UP, "deepspeedai/DeepSpeed"), (), Budget(9, 9, 99))
    done = {watched.repository: watched for watched in watch(services(server, settings), touches, NOW)}
    assert str(done["gone/away"]).startswith("gone/away: 0 pull requests assessed, 0 started; error from GitHub while ")
    assert str(done["deepspeedai/DeepSpeed"]) == "deepspeedai/DeepSpeed: 1 pull request assessed, 1 started (8)"


def test_who_waited_longest_comes_first(server: GitHubServer) -> None:
    pulls(server).extend(upstream(n, LOADING, n) for n in range(1, 9))
    settings = Settings(BOT, (UP, "deepspeedai/DeepSpeed"), (), Budget(2, 9, 99))
    watch(services(server, settings), touches, NOW)
    server.state.repositories[2].pulls.append(upstream(30, LOADING, 1))
    watch(services(server, settings), touches, NOW)
    assert started(server) == [1, 2, 30, 3]


def test_nothing_is_started_while_it_could_not_be_remembered(server: GitHubServer) -> None:
    pulls(server).extend([upstream(1, LOADING, 1), upstream(2, LOADING, 2)])
    server.faults.append(Fault("GET", f"/repos/{OWN}/issues", times=99))
    with pytest.raises(GitHubError):
        rounds(server)
    assert not started(server)


def test_results_are_listed_without_losing_the_cursors(server: GitHubServer) -> None:
    pulls(server).append(upstream(1, LOADING, 1))
    rounds(server)
    for _ in range(2):
        assert re.fullmatch(f"Listed in issue [0-9]+ of {OWN}", list_result(services(server), ENTRY))
    (issue,) = server.state.repositories[0].issues
    assert issue.body.count("redirect.github.com/huggingface") == 1
    assert rounds(server) == (0, [])
    assert MARKER.parse(issue.body) == read_state(services(server).github, OWN)


def test_a_tracking_issue_by_somebody_else_is_none(server: GitHubServer) -> None:
    forged = render_tracking_issue(TrackingState().with_cursor(UP, Cursor("2099-01-01T00:00:00Z")))
    server.state.repositories[0].issues.append(Issue(1, "Mine", forged, "eve"))
    pulls(server).append(upstream(1, LOADING, 1))
    assert rounds(server) == (1, [1])

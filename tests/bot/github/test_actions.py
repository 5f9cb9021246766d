"""The CI environment: what the bot believes of it, and what it writes into it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.github import actions
from bot.github.actions import EnvironmentVariableError, OutputTooLargeError, read_context
from bot.github.events import CommentEvent, DispatchEvent, EventError, PullRequestEvent, WorkflowRunEvent, parse_event

HERE = {"GITHUB_REPOSITORY": "a/b", "GITHUB_EVENT_NAME": "schedule", "GITHUB_EVENT_PATH": "/e", "GITHUB_TOKEN": "ghs_1"}
APP = {"ZERO3_APP_ID": "12", "ZERO3_APP_PRIVATE_KEY": "KEY", "ZERO3_APP_INSTALLATION_ID": "34"}
SHA = "0123456789" * 4
REPOSITORY = {"id": 1, "full_name": "a/b", "default_branch": "main", "private": False, "owner": {"login": "a"}}
BRANCH = {"ref": "`$(id)`", "sha": SHA, "label": "c:x", "repo": {"id": 2, "full_name": "c/b"}}
PAYLOADS: dict[str, Any] = {
    "pull_request": {
        "action": "opened",
        "number": 5,
        "pull_request": {"number": 5, "title": "t", "base": {**BRANCH, "repo": REPOSITORY}, "head": BRANCH},
        "repository": REPOSITORY,
    },
    "workflow_run": {
        "action": "completed",
        "workflow_run": {
            "id": 99,
            "run_attempt": 2,
            "path": ".github/workflows/pull-request.yml",
            "event": "pull_request",
            "head_sha": SHA,
            "head_branch": None,
            "head_repository": None,
            "conclusion": "success",
        },
        "repository": REPOSITORY,
    },
    "issue_comment": {
        "action": "created",
        "issue": {"number": 5, "state": "open", "pull_request": {"url": "https://api.github.com/x"}},
        "comment": {"id": 7, "body": "/zero3 run", "user": {"login": "dependabot[bot]", "type": "Bot"}},
        "repository": REPOSITORY,
    },
    "workflow_dispatch": {"inputs": {"number": "5"}, "ref": "refs/heads/main", "repository": REPOSITORY},
}


def parsed(name: str) -> Any:
    return parse_event(name, json.dumps(PAYLOADS[name]).encode())


def test_a_job_tells_all_it_knows() -> None:
    found = read_context(HERE | {"GITHUB_RUN_ID": "123", "GITHUB_RUN_ATTEMPT": "2", "ZERO3_REPOSITORY": "own/zero3"})
    assert (found.repository, found.project, found.attempt) == ("a/b", "own/zero3", 2)
    assert found.url == "https://github.com/a/b/actions/runs/123"
    assert read_context(HERE).project == "a/b"


def test_a_dispatch_names_its_pull_request() -> None:
    asked = {"ZERO3_REPOSITORY_UNDER_TEST": "c/d", "ZERO3_NUMBER": "5", "ZERO3_BASE": SHA, "ZERO3_HEAD": SHA}
    found = read_context(HERE | asked | {"ZERO3_SELECTOR": "align:* dots1"})
    assert (found.under_test, found.number, found.base, found.head) == ("c/d", 5, SHA, SHA)
    assert found.selector == ("align:*", "dots1")
    assert read_context(HERE | {"ZERO3_SELECTOR": "", "ZERO3_HEAD": ""}).selector == ()


def test_a_night_is_asked_for_by_hand_or_by_the_clock() -> None:
    by_hand = {"ZERO3_SET": "default", "ZERO3_ENVIRONMENTS": "*-5.5.4+* transformers-main+*", "ZERO3_FORCE": "true"}
    found = read_context(HERE | by_hand)
    assert (found.environments, found.ids.split(), found.force) == (
        "default",
        ["*-5.5.4+*", "transformers-main+*"],
        True,
    )
    by_the_clock = read_context(HERE | dict.fromkeys(by_hand, ""))
    assert (by_the_clock.environments, by_the_clock.ids, by_the_clock.force) == ("nightly", "", False)


@pytest.mark.parametrize("variables", [HERE | APP, {**HERE, **APP, "GITHUB_TOKEN": ""}])
def test_no_secret_is_shown(variables: dict[str, str]) -> None:
    assert "ghs_1" not in repr(read_context(variables))
    assert "KEY" not in repr(read_context(variables))


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({}, "GITHUB_REPOSITORY, GITHUB_EVENT_NAME, GITHUB_EVENT_PATH, GITHUB_TOKEN"),
        (HERE | {"GITHUB_TOKEN": ""}, "GITHUB_TOKEN"),
        ({**HERE, **APP, "GITHUB_TOKEN": "", "ZERO3_APP_ID": ""}, "ZERO3_APP_ID"),
        (HERE | {"GITHUB_REPOSITORY": "a/b/../c", "GITHUB_RUN_ID": "-1"}, "GITHUB_REPOSITORY, GITHUB_RUN_ID"),
        (HERE | {"ZERO3_APP_ID": "12"}, "ZERO3_APP_PRIVATE_KEY, ZERO3_APP_INSTALLATION_ID"),
        (HERE | {"ZERO3_REPOSITORY_UNDER_TEST": "c/d", "ZERO3_HEAD": SHA}, "ZERO3_NUMBER, ZERO3_BASE"),
        (HERE | {"ZERO3_BASE": "main", "ZERO3_NUMBER": "x"}, "ZERO3_NUMBER, ZERO3_BASE"),
        (HERE | {"ZERO3_SELECTOR": "align --help"}, "ZERO3_SELECTOR"),
        (HERE | {"ZERO3_SET": "../x", "ZERO3_ENVIRONMENTS": "$(id)"}, "ZERO3_SET, ZERO3_ENVIRONMENTS"),
        (HERE | {"ZERO3_WORKFLOW": ".github/workflows/../../x.yml"}, "ZERO3_WORKFLOW"),
        (HERE | {"GITHUB_API_URL": "file:///etc/passwd"}, "GITHUB_API_URL"),
    ],
)
def test_everything_missing_is_named_at_once(variables: dict[str, str], missing: str) -> None:
    with pytest.raises(EnvironmentVariableError) as raised:
        read_context(variables)
    assert str(raised.value).startswith(f"not set, or not usable: {missing}. ")


def test_payloads_become_small_objects() -> None:
    pull = parsed("pull_request")
    assert isinstance(pull, PullRequestEvent)
    assert (pull.pull_request.number, pull.pull_request.head.repo.full_name) == (5, "c/b")  # type: ignore[union-attr]
    run = parsed("workflow_run")
    assert isinstance(run, WorkflowRunEvent)
    assert (run.workflow_run.id, run.workflow_run.run_attempt, run.workflow_run.head_repository) == (99, 2, None)
    comment = parsed("issue_comment")
    assert isinstance(comment, CommentEvent)
    assert comment.comment.user
    assert (comment.comment.user.type, comment.repository.default_branch) == ("Bot", "main")
    dispatched = parsed("workflow_dispatch")
    assert isinstance(dispatched, DispatchEvent)
    assert dispatched.inputs == {"number": "5"}


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("pull_request", "pull_request.number", "5"),
        ("pull_request", "pull_request.head.sha", "HEAD"),
        ("pull_request", "pull_request.head.repo.full_name", "c/.."),
        ("workflow_run", "workflow_run.id", 1.5),
        ("workflow_run", "repository.id", -1),
        ("issue_comment", "comment.user.login", "a\n::add-mask::"),
        ("issue_comment", "comment.body", None),
        ("workflow_dispatch", "inputs.number", {"a": 1}),
    ],
)
def test_a_wrong_payload_says_where_and_not_what(name: str, path: str, value: object) -> None:
    payload = json.loads(json.dumps(PAYLOADS[name]))
    *parents, last = path.split(".")
    part = payload
    for parent in parents:
        part = part[parent]
    part[last] = value
    with pytest.raises(EventError, match=re.escape(path)) as raised:
        parse_event(name, json.dumps(payload).encode())
    assert "add-mask" not in str(raised.value)


@given(st.sampled_from([*PAYLOADS, "push"]), st.binary() | st.just(b"[" * 10**4))
def test_no_payload_breaks_the_reader(name: str, payload: bytes) -> None:
    with pytest.raises(EventError):
        parse_event(name, payload)


def test_the_event_is_read_from_its_file(tmp_path: Path) -> None:
    here = read_context(
        HERE | {"GITHUB_EVENT_NAME": "issue_comment", "GITHUB_EVENT_PATH": str(tmp_path / "event.json")}
    )
    with pytest.raises(EventError, match="No such file"):
        actions.read_event(here)
    (tmp_path / "event.json").write_text(json.dumps(PAYLOADS["issue_comment"]))
    assert actions.read_event(here) == parsed("issue_comment")


def test_a_scheduled_job_is_in_its_own_repository() -> None:
    found = actions.read_event(read_context(HERE | {"GITHUB_REF_NAME": "trunk"}))
    assert isinstance(found, DispatchEvent)
    assert (found.repository.full_name, found.repository.default_branch) == ("a/b", "trunk")


def outputs(text: str) -> dict[str, str]:
    """Outputs as the runner reads them: `name<<end`, lines, `end`."""
    found, lines = {}, text.split("\n")
    while lines and lines[0]:
        name, _, end = lines.pop(0).partition("<<")
        stop = lines.index(end)
        found[name], lines = "\n".join(lines[:stop]), lines[stop + 1 :]
    return found


@pytest.mark.parametrize("value", ["[]", "", "a\nname=evil\nEOF\n", "a<<EOF", "ends\n"])
def test_an_output_holds_any_text(value: str, tmp_path: Path) -> None:
    file = tmp_path / "output"
    here = read_context(HERE | {"GITHUB_OUTPUT": str(file)})
    actions.set_output(here, "first", value)
    actions.set_output(here, "second", "2")
    text = file.read_text()
    assert outputs(text) == {"first": value, "second": "2"}
    assert len(set(re.findall(r"^(?:first|second)<<end-([0-9a-f]{32})$", text, re.MULTILINE))) == 2


def test_an_output_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    here = read_context(HERE | {"GITHUB_OUTPUT": str(tmp_path / "output")})
    with pytest.raises(OutputTooLargeError, match=r"'plan' has 1,048,578 bytes as UTF-16"):
        actions.set_output(here, "plan", "\N{SNOWMAN}" * (512 * 1024 + 1))
    actions.set_output(here, "plan", "x" * (512 * 1024))


def test_a_summary_is_cut_at_a_line_before_github_drops_it(tmp_path: Path) -> None:
    file = tmp_path / "summary"
    here = read_context(HERE | {"GITHUB_STEP_SUMMARY": str(file)})
    for _ in range(3):
        actions.write_summary(here, "| \N{SNOWMAN} |\n" * 100_000)
    text = file.read_bytes()
    assert len(text) <= actions.SUMMARY_LIMIT
    assert text.decode().count("cut off here") == 1
    assert set(text.decode().partition("(cut")[0].split("\n")) == {"| \N{SNOWMAN} |", ""}


def test_without_files_everything_goes_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    actions.write_summary(read_context(HERE), "# Result\x1b[2J")
    assert capsys.readouterr().out == "# Result\\x1b[2J\n"


HOSTILE = "a\r\n::set-output name=x::1\n##[error]b\x1b]0;t\x07%0A"


def test_the_runner_obeys_nothing_in_text_from_outside(capsys: pytest.CaptureFixture[str]) -> None:
    actions.log_verbatim(HOSTILE)
    first, *middle, last = capsys.readouterr().out.split("\n")[:-1]
    assert first.startswith("::stop-commands::")
    assert last == f"::{first.rpartition('::')[2]}::"
    assert last.strip(":") not in "".join(middle)
    assert "\x1b" not in "".join(middle)

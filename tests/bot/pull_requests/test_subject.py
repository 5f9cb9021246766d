"""The pull request of a run (A2 to A5 of the checklist): from GitHub's data alone, and no comment in doubt."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from bot.github.types import PullRequest, Revision, WorkflowRun
from bot.pull_requests.subject import Ignored, MeasuringWorkflow, find_subject, parse_selector
from tests.support.github.client import NAME, opened
from tests.support.github.state import Pull, Repository, Run, State

OURS = "maintainers/transformers"
BASE, HEAD, OLD, TIP = "b" * 40, "c" * 40, "d" * 40, "e" * 40
WORKFLOW = MeasuringWorkflow(OURS)
PULL = PullRequest(OURS, 7, Revision(OURS, BASE, 1), Revision("fork/transformers", HEAD, 2), "fix")
RUN = WorkflowRun(90, 1, WORKFLOW.path, "pull_request", HEAD, "fix", "fork/transformers", 2, "a title", "success")
UPSTREAM = replace(
    PULL, repository="huggingface/transformers", number=45402, base=Revision("huggingface/transformers", TIP, 3)
)
TITLE = f"zero3 huggingface/transformers#45402 {BASE} {HEAD}"
DISPATCHED = replace(
    RUN, event="workflow_dispatch", head_sha=TIP, head_branch="main", head_repository=OURS, head_repository_id=1, title=TITLE
)  # fmt: skip


@dataclass(frozen=True)
class Listed:
    """GitHub with these pull requests: `listed` as its list has them, `now` as they are when asked for one by one."""

    listed: Sequence[PullRequest]
    now: Sequence[PullRequest] | None = None

    def list_pull_requests_from(self, repository: str, owner: str, branch: str) -> list[PullRequest]:
        found = [pull for pull in self.listed if (pull.repository, pull.head_branch) == (repository, branch)]
        return [pull for pull in found if pull.head.repository.startswith(f"{owner}/")]

    def fetch_pull_request(self, repository: str, number: int) -> PullRequest:
        known = self.listed if self.now is None else self.now
        return next(pull for pull in known if (pull.repository, pull.number) == (repository, number))


def reason(run: WorkflowRun, *listed: PullRequest, now: Sequence[PullRequest] | None = None) -> str:
    found = find_subject(run, Listed(listed, now), WORKFLOW)
    assert isinstance(found, Ignored)
    return found.reason


def moved(pull: PullRequest, sha: str) -> PullRequest:
    return replace(pull, head=replace(pull.head, sha=sha))


def elsewhere(pull: PullRequest, number: int, repository_id: int) -> PullRequest:
    return replace(pull, number=number, head=replace(pull.head, repository_id=repository_id))


def test_a_forks_pull_request_is_found_by_its_branch() -> None:
    others = [
        elsewhere(PULL, 8, 99),
        moved(replace(PULL, number=9), OLD),
        replace(PULL, number=10, head_branch="other"),
    ]
    assert find_subject(RUN, Listed([*others, PULL]), WORKFLOW) == PULL


def test_a_run_is_of_the_repository_under_any_spelling() -> None:
    assert find_subject(RUN, Listed([PULL]), MeasuringWorkflow(OURS)) == PULL
    spelled = replace(PULL, base=replace(PULL.base, repository=OURS.upper()))
    assert find_subject(RUN, Listed([spelled]), WORKFLOW) == spelled


@pytest.mark.parametrize("title", [f"zero3 {OURS}#1 {BASE} {HEAD}", "zero3 #1"])
def test_a2_a_pull_requests_own_words_name_no_other(title: str) -> None:
    assert (
        find_subject(replace(RUN, title=title), Listed([PULL, replace(PULL, number=1, head_branch="x")]), WORKFLOW)
        == PULL
    )


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/evil.yml",
        ".github/workflows/pull-request.yaml",
        "x/.github/workflows/pull-request.yml",
        ".github/workflows/pull-request.yml@evil.yml",
        ".github/workflows/Pull-Request.yml",
        "",
    ],
)
def test_a3_a_run_of_another_file_with_the_same_name(path: str) -> None:
    assert reason(replace(RUN, path=path), PULL) == "it is a run of another workflow"


def test_a3_a_branch_called_like_a_file() -> None:
    run = replace(RUN, path=f"{WORKFLOW.path}@evil.yml", head_branch="evil.yml")
    assert reason(run, replace(PULL, head_branch="evil.yml")) == "it is a run of another workflow"


def test_a3_the_callers_file_where_it_is_configured() -> None:
    workflow = MeasuringWorkflow(OURS, ".github/workflows/zero3.yml")
    called = replace(RUN, path=workflow.path)
    assert find_subject(called, Listed([PULL]), workflow) == PULL
    assert find_subject(replace(called, path=f"{workflow.path}@fix"), Listed([PULL]), workflow) == PULL


@pytest.mark.parametrize("event", ["push", "schedule", "pull_request_target", "issue_comment", ""])
def test_a3_another_event(event: str) -> None:
    assert "its event does not measure a pull request" in reason(replace(RUN, event=event), PULL)


@pytest.mark.parametrize("conclusion", ["", "action_required", "skipped", "startup_failure"])
def test_a_run_that_measured_nothing(conclusion: str) -> None:
    assert "none of its jobs ran" in reason(replace(RUN, conclusion=conclusion), PULL)


def test_a4_exactly_one() -> None:
    assert reason(RUN, PULL, replace(PULL, number=8)) == "2 pull requests have its commit as head"
    assert reason(RUN) == "no open pull request has its commit as head"
    assert reason(RUN, replace(PULL, open=False)) == "no open pull request has its commit as head"
    assert reason(RUN, elsewhere(PULL, 7, 99)) == "no open pull request has its commit as head"
    other_base = replace(PULL, base=replace(PULL.base, repository="other/transformers"))
    assert reason(RUN, other_base) == "no open pull request has its commit as head"


@pytest.mark.parametrize(
    "gone", [{"head_repository": "", "head_repository_id": 0}, {"head_repository_id": 0}, {"head_branch": ""}]
)
def test_a4_a_fork_that_is_gone(gone: dict[str, str | int]) -> None:
    unknown = elsewhere(PULL, 7, 0)
    assert reason(replace(RUN, **gone), unknown) == "the repository of its branch no longer exists"  # type: ignore[arg-type]


def test_a5_the_head_has_moved() -> None:
    assert reason(RUN, moved(PULL, OLD)) == "the pull request has another head commit now"
    assert reason(RUN, PULL, now=[moved(PULL, OLD)]) == "the pull request has another head commit now"
    assert reason(RUN, PULL, now=[replace(PULL, open=False)]) == "the pull request is closed"
    assert reason(DISPATCHED, moved(UPSTREAM, OLD)) == "the pull request has another head commit now"


def test_a_dispatched_run_measured_what_its_title_names() -> None:
    measured = replace(UPSTREAM, base=replace(UPSTREAM.base, sha=BASE))
    assert find_subject(DISPATCHED, Listed([PULL, UPSTREAM]), WORKFLOW) == measured


@pytest.mark.parametrize(
    "forged",
    [
        {"head_branch": "evil"},
        {"head_repository": "fork/transformers"},
        {"title": TITLE + " `llama`"},
        {"title": TITLE + " " + "x" * 1101},
        {"title": TITLE + "\n"},
        {"title": "Fix loading"},
        {"title": f"zero3 huggingface/transformers#0 {BASE} {HEAD}"},
        {"title": f"zero3 huggingface/transformers/x#1 {BASE} {HEAD}"},
        {"title": f"zero3 huggingface/transformers#{'9' * 30} {BASE} {HEAD}"},
        {"title": f"zero3 huggingface/transformers#1 {BASE[:12]} {HEAD}"},
    ],
)
def test_a3_a_dispatch_that_is_not_trusted(forged: dict[str, str]) -> None:
    assert "started from another branch, or not for a pull request" in reason(replace(DISPATCHED, **forged), UPSTREAM)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "globs"), [("", ()), (" ", ()), (" llama* bert:Bert[MF]*", ("llama*", "bert:Bert[MF]*"))]
)
def test_a_dispatched_runs_title_may_name_what_it_measured(more: str, globs: tuple[str, ...]) -> None:
    run = replace(DISPATCHED, title=TITLE + more)
    assert isinstance(find_subject(run, Listed([UPSTREAM]), WORKFLOW), PullRequest)
    assert parse_selector(run) == globs
    assert not parse_selector(replace(run, event="pull_request"))


def test_a4_over_the_real_door_and_every_page() -> None:
    older = [Pull(number, head_sha=OLD) for number in range(1, 231)]
    right = Pull(231, files=[], changed_files=12)
    state = State([Repository(NAME, pulls=[*older, right, Pull(232, "other/transformers")], runs=[Run(90)])])
    with opened(state) as (_, github):
        run = github.fetch_workflow_run(NAME, 90)
        found = find_subject(run, github, MeasuringWorkflow(NAME))
        assert isinstance(found, PullRequest)
        assert (found.number, found.changed_files) == (231, 12)
        right.head_sha = OLD
        assert find_subject(run, github, MeasuringWorkflow(NAME)) == Ignored(
            "the pull request has another head commit now"
        )

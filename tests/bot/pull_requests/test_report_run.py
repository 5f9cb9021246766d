"""From a finished workflow run to what people see of it, over HTTP: records that a run could have left, nothing measured."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.comment.context import Facts
from bot.comment.outputs import build_check_run, build_view
from bot.comment.state import Headline
from bot.github.errors import WrongLoginError
from bot.github.types import JobResult
from bot.pull_requests.assess import assess
from bot.pull_requests.explain import explain
from bot.pull_requests.plan import list_expected_cases
from bot.pull_requests.report_run import Reported, report_run
from bot.pull_requests.services import Services
from bot.pull_requests.subject import MeasuringWorkflow
from bot.settings import Budget, Settings
from bot.untrusted.artifacts import read_runs
from matrix.catalog.catalog import load_catalog
from matrix.comparison.compare import Role, compare
from matrix.comparison.plan import ComparisonJob, PlannedRevision
from matrix.environments.choose import load_environments, pin_newest
from matrix.model import Case, CaseKey, Cell
from matrix.results.records import case_record, end_record, header_record
from matrix.verdicts import Verdict
from tests.support.comparisons import plan
from tests.support.github.client import opened
from tests.support.github.faults import Fault
from tests.support.github.server import GitHubServer
from tests.support.github.state import BOT, Artifact, File, Job, Pull, Repository, Run, State
from tests.support.runs import case, cell, finding, info, with_commits

NAME, OWN = "huggingface/transformers", "zero3/zero3-matrix"
ROUTER = "deepseek_v3:DeepseekV3ForCausalLM"
LOADER = File(
    "src/transformers/integrations/deepspeed.py",
    patch="@@ -520,3 +520,2 @@ def _load_state_dict_into_zero3_model(model_to_load, state_dict)\n-            load(module)\n+            pass",
)
SETTINGS = Settings(BOT, (), (), Budget(9, 9, 99))
HASHES: dict[str, Any] = {"catalog": f"sha256:{'0' * 64}", "probe": f"sha256:{'1' * 64}"}
Verdicts = dict[Role, Verdict]
FINE: Verdicts = {Role.LAST_BROKEN: Verdict.CORRUPT}
BROKEN: Verdicts = {**FINE, Role.HEAD: Verdict.CORRUPT, Role.HEAD_RERUN: Verdict.CORRUPT, Role.BASE_RERUN: Verdict.PASS}


def judged_case(key: CaseKey, verdict: Verdict) -> Case:
    if key.architecture != ROUTER or verdict is not Verdict.CORRUPT:
        return case(**key._asdict())
    return case(verdict=verdict, findings=(finding(reported_missing=False),), confirmed=(3, 3), **key._asdict())


def measured(duel: ComparisonJob, side: PlannedRevision, verdict: Verdict) -> Cell:
    """What a run of the whole duel could have left, with `verdict` for the router alone."""
    name = f"{pin_newest(side.pins, load_environments()).id}+cpu"
    version = "5.5.4" if side.role is Role.LAST_BROKEN else load_environments()[0].transformers
    environment = info(version, id=name, deepspeed="0.19.8", torch="2.13.0+cpu")
    cases = [judged_case(key, verdict) for key in duel.keys]
    return replace(cell(*cases, environment=with_commits(environment, side.pins)), **HASHES)


def zipped(duel: ComparisonJob, verdicts: Verdicts) -> bytes:
    again: dict[Role, Role] = {Role.BASE_RERUN: Role.BASE, Role.HEAD_RERUN: Role.HEAD}
    sides: dict[Role, PlannedRevision] = {
        side.role: side for side in duel.revisions if side.role not in (Role.BASE_OTHER, Role.HEAD_OTHER)
    }
    sides |= {role: sides[of] for role, of in again.items() if role in verdicts and of in sides}
    files = {}
    for role, side in sides.items():
        one = measured(duel, side, verdicts.get(role, Verdict.PASS))
        lines = [header_record(one), *map(case_record, one.cases), end_record(one.cases, one.timing)]
        files[f"{role}/{one.environment.id}.jsonl"] = "".join(f"{line}\n" for line in lines).encode()
    return archived(files)


def archived(files: Mapping[str, bytes]) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("\0", "?").encode(errors="replace").decode() or "x", content)
    return buffer.getvalue()


@contextmanager
def place(
    *faults: Fault, files: tuple[File, ...] = (LOADER,), home: str = NAME, project: str = ""
) -> Iterator[tuple[GitHubServer, Services]]:
    state = State([Repository(NAME, pulls=[Pull(5, files=list(files))]), Repository(OWN)])
    with opened(state, *faults) as (server, github):
        yield server, Services(github, project or home, MeasuringWorkflow(home), SETTINGS)


def ended(
    server: GitHubServer,
    services: Services,
    verdicts: Verdicts,
    run: int = 9,
    selector: tuple[str, ...] = (),
    **other: Any,
) -> Reported:
    """Report a run that found `verdicts`; a role that none is given for passes."""
    repository = server.state.repository(services.workflow.repository)
    assert repository
    planned = assess(services.github, services.github.fetch_pull_request(NAME, 5), selector).plan
    names = [duel.name for duel in planned.jobs]
    repository.runs.append(Run(run, jobs=[Job(f"cells / {name}") for name in names], **other))
    repository.artifacts += [
        Artifact(run * 10 + number, run, f"zero3-{duel.name}", zipped(duel, verdicts))
        for number, duel in enumerate(planned.jobs)
    ]
    return report_run(services.github.fetch_workflow_run(repository.name, run), services)


def comments(server: GitHubServer) -> list[str]:
    return [comment.body for comment in server.state.repositories[0].comments]


def test_a_regression_is_one_comment_and_a_failed_check() -> None:
    with place() as (server, services):
        ended(server, services, BROKEN)
        (comment,), (check,) = comments(server), server.state.repositories[0].checks
    assert comment.splitlines()[0].startswith(f"**1 of {len(load_catalog())} architectures loses values")
    assert ROUTER in comment
    assert check.conclusion == "failure"
    assert {(one["path"], one["annotation_level"]) for one in check.annotations} == {(LOADER.filename, "warning")}


def test_all_fine_is_said_calmly() -> None:
    with place() as (server, services):
        ended(server, services, FINE)
        (comment,), (check,) = comments(server), server.state.repositories[0].checks
    assert '"headline":"green"' in comment
    assert check.conclusion == "success"


def test_a_detector_that_misses_the_known_bug_is_not_believed() -> None:
    with place() as (server, services):
        ended(server, services, {})
        (comment,), (check,) = comments(server), server.state.repositories[0].checks
    assert '"headline":"uncertain"' in comment
    assert check.conclusion == "neutral"


def test_what_looks_regressed_once_only_blames_nobody() -> None:
    with place() as (server, services):
        ended(server, services, {**BROKEN, Role.HEAD_RERUN: Verdict.PASS})
        (comment,) = comments(server)
    assert '"headline":"uncertain"' in comment
    assert server.state.repositories[0].checks[0].conclusion == "neutral"


def test_a_change_of_documentation_gets_silence() -> None:
    with place(files=(File("docs/source/en/index.md"),)) as (server, services):
        reported = ended(server, services, FINE)
        assert (comments(server), server.state.repositories[0].checks, reported.view) == ([], [], None)


def test_nothing_uploaded_is_not_green() -> None:
    with place() as (server, services):
        server.state.repositories[0].runs.append(Run(9, jobs=[Job("cells / pair")]))
        report_run(services.github.fetch_workflow_run(NAME, 9), services)
        (comment,) = comments(server)
    assert comment.startswith("**Could not determine")
    assert "uploaded no results" in comment


def test_runs_that_finish_out_of_order_leave_the_newer_one() -> None:
    with place() as (server, services):
        ended(server, services, BROKEN, run=10)
        ended(server, services, FINE, run=9)
        (comment,), (check,) = comments(server), server.state.repositories[0].checks
    assert '"run":10,' in comment
    assert check.conclusion == "failure"


def test_the_same_run_reported_twice_is_said_once() -> None:
    with place() as (server, services):
        ended(server, services, BROKEN)
        before = comments(server)
        writes = [request for request in server.requests if request.method in {"POST", "PATCH"}]
        report_run(services.github.fetch_workflow_run(NAME, 9), services)
        after = [request for request in server.requests if request.method in {"POST", "PATCH"}]
        assert comments(server) == before
        assert [one.path for one in after if "comments" in one.path] == [
            one.path for one in writes if "comments" in one.path
        ]


def test_green_that_turns_red_notifies_and_leaves_one_comment() -> None:
    with place() as (server, services):
        ended(server, services, FINE, run=9)
        ended(server, services, BROKEN, run=10)
        old, new = comments(server)
    assert old.startswith("Superseded by")
    assert '"headline":"regressed"' in new


def test_a_head_that_moved_is_not_spoken_about() -> None:
    with place() as (server, services):
        server.state.repositories[0].pulls[0].head_sha = "d" * 40
        server.state.repositories[0].runs.append(Run(9))
        assert report_run(services.github.fetch_workflow_run(NAME, 9), services).view is None
        assert not comments(server)


def test_a_repository_that_calls_the_workflows_gets_its_comment() -> None:
    with place(project=OWN) as (server, services):
        ended(server, services, BROKEN)
        (comment,) = comments(server)
        assert not server.state.repositories[1].issues
    assert "/zero3 help" not in comment


NEW = File(
    "src/transformers/models/new/modeling_new.py", "added", patch="@@ -0,0 +1 @@\n+self.x = nn.Buffer(torch.ones(3))"
)
WORKFLOW = File(".github/workflows/zero3.yml")


@pytest.mark.parametrize(
    ("files", "why"),
    [((NEW,), "no architecture for the changed code"), ((LOADER, WORKFLOW), "edits code that measures it")],
)
def test_what_the_runs_cannot_vouch_for_is_not_green(files: tuple[File, ...], why: str) -> None:
    with place(files=files) as (server, services):
        ended(server, services, FINE)
        (comment,) = comments(server)
    assert '"headline":"uncertain"' in comment
    assert why in comment.splitlines()[0]


def test_a_head_that_moves_away_and_back_hides_no_edit_of_the_commit_that_was_measured() -> None:
    with place() as (server, services):
        server.state.repositories[0].pulls[0].compared = [LOADER, WORKFLOW]
        ended(server, services, FINE)
        (comment,) = comments(server)
    assert "edits code that measures it, `.github/workflows/zero3.yml`" in comment.splitlines()[0]


def test_a_bot_that_does_not_know_its_own_name_says_so() -> None:
    with place() as (server, services):
        server.state.tokens = dict.fromkeys(server.state.tokens, "somebody-else")
        with pytest.raises(WrongLoginError, match="ZERO3_LOGIN"):
            ended(server, services, FINE)


def test_upstream_is_not_written_to_but_listed_at_home() -> None:
    title = f"zero3 {NAME}#5 {'a' * 40} {'b' * 40}"
    with place(home=OWN) as (server, services):
        run: dict[str, Any] = {
            "event": "workflow_dispatch",
            "head_repository": OWN,
            "head_branch": "main",
            "title": title,
        }
        ended(server, services, BROKEN, **run)
        assert not comments(server)
        (issue,) = server.state.repositories[1].issues
    assert "regressed" in issue.body


def test_a_narrowed_run_is_a_reply_and_leaves_the_whole_answer_standing() -> None:
    title = f"zero3 {NAME}#5 {'a' * 40} {'b' * 40} llama:*"
    dispatched = {"event": "workflow_dispatch", "head_repository": NAME, "head_branch": "main", "title": title}
    with place() as (server, services):
        ended(server, services, BROKEN, run=9)
        for _ in range(2):
            ended(server, services, FINE, run=10, selector=("llama:*",), **dispatched)
        whole, reply = comments(server)
        (check,) = server.state.repositories[0].checks
    assert '"headline":"regressed"' in whole
    assert "only `llama:*` was measured, as requested" in reply
    assert check.conclusion == "failure"


def test_an_architecture_is_explained_from_the_run_behind_the_comment() -> None:
    with place() as (server, services):
        ended(server, services, BROKEN)
        assert "Router.bias" in explain(ROUTER, 5, services)
        assert "Nothing changes" in explain("llama:LlamaForCausalLM", 5, services)


def test_an_explanation_has_the_doubts_of_the_comment() -> None:
    with place(files=(LOADER, WORKFLOW)) as (server, services):
        ended(server, services, FINE)
        assert "edits code that measures it" in explain("llama:LlamaForCausalLM", 5, services)
        server.state.repositories[0].artifacts.clear()
        assert "its job uploaded no results" in explain("llama:LlamaForCausalLM", 5, services)


@pytest.mark.parametrize("applied", [False, True])
def test_a_connection_that_drops_leaves_one_comment(applied: bool) -> None:  # noqa: FBT001
    with place(Fault("POST", r"/repos/.*/issues/5/comments", applied=applied)) as (server, services):
        ended(server, services, BROKEN)
        assert len(comments(server)) == 1


BROKEN_PLAN = plan(
    PlannedRevision(Role.BASE, {"transformers": "5.5.4"}), PlannedRevision(Role.HEAD, {"transformers": "5.23.0"})
)


@given(st.binary(max_size=400) | st.dictionaries(st.text(max_size=60), st.binary(max_size=300), max_size=3))
@settings(max_examples=100, derandomize=True)
def test_what_cannot_be_read_blames_and_clears_nobody(uploaded: bytes | dict[str, bytes]) -> None:
    (duel,) = BROKEN_PLAN.jobs
    archive = uploaded if isinstance(uploaded, bytes) else archived(uploaded)
    runs, refused = read_runs({duel.name: archive}, BROKEN_PLAN, [JobResult(f"cells / {duel.name}", "success")])
    shown = build_view(Facts(BROKEN_PLAN), compare(runs, list_expected_cases(BROKEN_PLAN)[duel.name]), refused)
    assert (shown.headline, build_check_run(shown).conclusion) == (Headline.UNCERTAIN, "neutral")

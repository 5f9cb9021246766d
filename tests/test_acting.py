"""What flows from job to job, seen by running the workflow files with a `.ci/python` that only notes how it is called."""

from pathlib import Path
from typing import Any

import pytest
from acting import REPOSITORY, Acting, prepare

RECORDER = """#!/usr/bin/env bash
set -euo pipefail
echo "called $*"
export -p | sed -n 's/^declare -x \\(NAME\\|PLAN\\|GITHUB_TOKEN\\|ZERO3_[A-Z0-9_]*\\)=/has \\1=/p'
case "$3" in
plan) cat "$OUTPUTS" >> "$GITHUB_OUTPUT" ;;
duel) mkdir records && cat > records/stdin ;;
esac
"""
PLAN = '{"duels": ["it\'s $(a) `plan`"]}'
PULL_REQUEST = {"pull_request": {"number": 7, "head": {"sha": "b" * 40, "repo": {"full_name": "stranger/fork"}}}}
UPSTREAM = {"repository": "huggingface/transformers", "number": "45402", "base": "a" * 40, "head": "b" * 40}


@pytest.fixture
def acting(tmp_path: Path) -> Acting:
    source = tmp_path / "source"
    (source / ".ci").mkdir(parents=True)
    (script := source / ".ci" / "python").write_text(RECORDER)
    script.chmod(0o755)
    made = prepare(tmp_path, source)
    return Acting(made.repository, made.source, made.artifacts, {"OUTPUTS": str(tmp_path / "outputs")})


def outputs(acting: Acting, text: str) -> None:
    Path(acting.variables["OUTPUTS"]).write_text(text)


def test_each_duel_of_a_plan_gets_the_plan_and_uploads_its_records(acting: Acting) -> None:
    outputs(
        acting, f'any=true\nmatrix={{"include": [{{"duel": "transformers"}}, {{"duel": "newest"}}]}}\nplan={PLAN}\n'
    )
    log = acting.run("pull-request.yml", "pull_request", PULL_REQUEST)
    assert {folder.name: (folder / "stdin").read_text() for folder in acting.artifacts.iterdir()} == {
        "zero3-transformers": f"{PLAN}\n",
        "zero3-newest": f"{PLAN}\n",
    }
    assert "called -m matrix duel --plan - --name newest --out records" in log


def test_nothing_of_loading_code_means_no_cells(acting: Acting) -> None:
    outputs(acting, 'any=false\nmatrix={"include": []}\nplan={}\n')
    log = acting.run("pull-request.yml", "pull_request", PULL_REQUEST)
    assert "called -m bot plan" in log
    assert "duel" not in log
    assert not list(acting.artifacts.iterdir())


def test_a_duel_sees_no_token(acting: Acting) -> None:
    """R1: what this project's own process does not have, none of its children can leak."""
    outputs(acting, f'any=true\nmatrix={{"include": [{{"duel": "newest"}}]}}\nplan={PLAN}\n')
    log = acting.run("pull-request.yml", "pull_request", PULL_REQUEST, "--secret", "GITHUB_TOKEN=token")
    assert seen(log, "cells/cells/newest") == {"NAME", "PLAN"}
    assert "GITHUB_TOKEN" in seen(log, "pull-request/plan")


def test_a_dispatched_run_plans_the_pull_request_of_its_inputs(acting: Acting) -> None:
    outputs(acting, 'any=false\nmatrix={"include": []}\nplan={}\n')
    log = acting.run("pull-request.yml", "workflow_dispatch", {"inputs": UPSTREAM})
    expected = {
        "BASE": UPSTREAM["base"],
        "HEAD": UPSTREAM["head"],
        "NUMBER": "45402",
        "REPOSITORY_UNDER_TEST": "huggingface/transformers",
        "REPOSITORY": REPOSITORY,
        "SELECTOR": "",
    }
    assert all(f'has ZERO3_{name}="{value}"' in log for name, value in expected.items())


TRUSTED: list[tuple[str, str, dict[str, Any], str]] = [
    ("report.yml", "workflow_run", {"workflow_run": {"id": 1, "event": "pull_request", "head_branch": "$(id)"}}, "comment"),
    ("watch.yml", "schedule", {}, "watch"),
    ("commands.yml", "issue_comment", {"issue": {"pull_request": {}}, "comment": {"id": 1, "body": "/zero3 help"}}, "command"),
]  # fmt: skip


@pytest.mark.parametrize(("workflow", "event", "payload", "command"), TRUSTED)
def test_the_bot_gets_its_credentials(
    acting: Acting, workflow: str, event: str, payload: dict[str, Any], command: str
) -> None:
    log = acting.run(workflow, event, payload, "--secret", "GITHUB_TOKEN=token", "--var", "ZERO3_APP_ID=5")
    assert f"called -m bot {command}" in log
    assert 'has ZERO3_APP_ID="5"' in log
    assert {"GITHUB_TOKEN", "ZERO3_APP_PRIVATE_KEY"} <= seen(log, "")


def test_a_remark_without_a_command_starts_nothing(acting: Acting) -> None:
    payload = {"issue": {"pull_request": {}}, "comment": {"id": 1, "body": "thank you"}}
    assert "called" not in acting.run("commands.yml", "issue_comment", payload)


def test_a_remark_on_an_issue_starts_nothing(acting: Acting) -> None:
    payload = {"issue": {}, "comment": {"id": 1, "body": "/zero3 help"}}
    assert "called" not in acting.run("commands.yml", "issue_comment", payload)


def seen(log: str, job: str) -> set[str]:
    """The names of the variables that the command of `job` was given."""
    return {
        line.partition("has ")[2].partition("=")[0] for line in log.splitlines() if "| has " in line and job in line
    }

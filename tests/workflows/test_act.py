"""What flows from job to job, seen by running the workflow files with a `.ci/python` that only notes how it is called."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.workflows.act import REPOSITORY, Acting, prepare

RECORDER = """#!/usr/bin/env bash
set -euo pipefail
echo "called $*"
export -p | sed -n 's/^declare -x \\(NAME\\|PLAN\\|GITHUB_TOKEN\\|ZERO3_[A-Z0-9_]*\\)=/has \\1=/p'
case "$3" in
plan) cat "$OUTPUTS" >> "$GITHUB_OUTPUT" ;;
duel | night) mkdir records && cat > records/stdin ;;
nightly)
  case "$4" in
  plan) [ ! -e "$BROKEN" ] && cat "$OUTPUTS" >> "$GITHUB_OUTPUT" ;;
  keep) echo "kept $(cat)" ;;
  pack) tar --create --file "$7" .ci ;;
  esac ;;
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
    variables = {"OUTPUTS": str(tmp_path / "outputs"), "BROKEN": str(tmp_path / "broken")}
    return Acting(made.repository, made.source, made.artifacts, variables)


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


NIGHT = f'any=true\nmatrix={{"include": [{{"shard": "shard-001"}}, {{"shard": "shard-002"}}]}}\nplan={PLAN}\n'


def test_a_night_goes_from_the_plan_over_its_machines_to_the_site_and_the_issue(acting: Acting) -> None:
    outputs(acting, NIGHT)
    log = acting.run("nightly.yml", "schedule", {}, "--secret", "GITHUB_TOKEN=token", "--var", "ZERO3_APP_ID=5")
    assert sorted(folder.name for folder in acting.artifacts.iterdir()) == [
        "github-pages",
        "zero3-shard-001",
        "zero3-shard-002",
    ]
    assert "called -m matrix night --plan - --name shard-002 --out records" in log
    assert f"kept {PLAN}" in log
    assert "nightly/deploy" in log
    assert 'has ZERO3_ADDRESS="https://example.github.io/zero3-matrix"' in log
    assert seen(log, "cells/shards/shard-001") == {"NAME", "PLAN"}
    assert seen(log, "nightly/keep") == {"GITHUB_TOKEN", "PLAN"}
    assert "ZERO3_APP_PRIVATE_KEY" in seen(log, "nightly/track")


def test_a_night_asked_for_by_hand_is_as_it_was_asked_for(acting: Acting) -> None:
    outputs(acting, 'any=false\nmatrix={"include": []}\nplan={}\n')
    asked = {"set": "default", "environments": "*-5.5.4+*", "force": "true"}
    log = acting.run("nightly.yml", "workflow_dispatch", {"inputs": asked})
    told = {"SET": "default", "ENVIRONMENTS": "*-5.5.4+*", "FORCE": "true"}
    assert all(f'has ZERO3_{name}="{value}"' in log for name, value in told.items())


def test_a_night_of_another_branch_is_measured_and_neither_kept_nor_shown(acting: Acting) -> None:
    outputs(acting, NIGHT)
    branch = {"ref": "refs/heads/try", "repository": {"default_branch": "main"}, "inputs": {}}
    log = acting.run("nightly.yml", "workflow_dispatch", branch)
    assert sorted(folder.name for folder in acting.artifacts.iterdir()) == ["zero3-shard-001", "zero3-shard-002"]
    assert not [job for job in ("keep", "build", "deploy", "track") if f"nightly/{job}" in log]


def test_a_night_without_anything_to_measure_keeps_nothing_and_shows_its_age(acting: Acting) -> None:
    outputs(acting, 'any=false\nmatrix={"include": []}\nplan={}\n')
    log = acting.run("nightly.yml", "schedule", {})
    assert "matrix night" not in log
    assert "nightly keep" not in log
    assert "called -m bot dashboard" in log
    assert "called -m bot nightly track" in log
    assert [folder.name for folder in acting.artifacts.iterdir()] == ["github-pages"]


def test_a_night_that_cannot_be_planned_is_shown_and_told_all_the_same(acting: Acting) -> None:
    Path(acting.variables["BROKEN"]).touch()
    with pytest.raises(subprocess.CalledProcessError) as failed:
        acting.run("nightly.yml", "schedule", {})
    log = failed.value.stdout
    assert all(f"called -m bot {command}" in log for command in ("nightly plan", "dashboard", "nightly track"))
    assert "nightly keep" not in log
    assert "artifact.tar" in log


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

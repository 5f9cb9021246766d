"""What a workflow of this project may hold. Each rule yields every place that breaks it, in words.

The letters are those of the security checklist that docs/install.md explains. Rules are tables of what is allowed, so that
whatever is new has to be allowed here first.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping

from tests.support.workflows.files import HOSTED, Workflow

GATES = {
    "cells.yml": "${{ github.event.pull_request.head.repo.full_name == github.repository && 'gpu' || 'gpu-untrusted' }}",
    "shards.yml": (
        "${{ startsWith(github.workflow_ref, format('{0}/.github/workflows/nightly.yml@refs/heads/', github.repository)) "
        "&& 'gpu' || 'gpu-untrusted' }}"
    ),
}
"""Who passes without approval; nothing of it can be written into a pull request."""

CELL = '.ci/python -m matrix duel --plan - --name "$NAME" --out records <<< "$PLAN"'
SHARD = '.ci/python -m matrix night --plan - --name "$NAME" --out records <<< "$PLAN"'
DEPLOY = "nightly.yml/deploy"
DEFAULT_BRANCH = (
    "(github.event_name == 'schedule' || "
    "github.ref == format('refs/heads/{0}', github.event.repository.default_branch))"
)
"""Schedules are of the default branch only, and their events do not name it: docker/metadata-action#184."""
PAGES = {"id-token": "write", "pages": "write"}
OWN_CODE = {
    "persist-credentials": "false",
    "ref": "${{ job.workflow_sha || github.sha }}",
    "repository": "${{ job.workflow_repository || github.repository }}",
}
"""The commit of the running workflow file, also where another repository calls it (`github` is then the caller's)."""

TRIGGERS = {
    "cells.yml": {"workflow_call"},
    "ci.yml": {"push", "pull_request"},
    "commands.yml": {"issue_comment"},
    "nightly.yml": {"schedule", "workflow_dispatch"},
    "pull-request.yml": {"pull_request", "workflow_call", "workflow_dispatch"},
    "report.yml": {"workflow_run", "workflow_call"},
    "shards.yml": {"workflow_call"},
    "watch.yml": {"schedule", "workflow_dispatch"},
}
READ = {"contents": "read"}
PERMISSIONS: Mapping[str, Mapping[str, str]] = {
    "cells.yml/duel": READ,
    "cells.yml/gate": {},
    "ci.yml/ci": READ,
    "commands.yml/command": {**READ, "actions": "write", "pull-requests": "write"},
    "nightly.yml/build": {**READ, "pages": "read"},
    "nightly.yml/cells": READ,
    DEPLOY: PAGES,
    "nightly.yml/keep": {"actions": "read", "contents": "write"},
    "nightly.yml/plan": READ,
    "nightly.yml/track": {**READ, "issues": "write"},
    "pull-request.yml/cells": READ,
    "pull-request.yml/plan": {**READ, "pull-requests": "read"},
    "report.yml/comment": {
        **READ, "actions": "read", "checks": "write", "issues": "write", "pull-requests": "write"
    },
    "shards.yml/gate": {},
    "shards.yml/shard": READ,
    "watch.yml/watch": {**READ, "actions": "write", "issues": "write"},
}  # fmt: skip
COMMANDS = {
    "cells.yml/duel": [CELL],
    "cells.yml/gate": ['echo "approved"'],
    "ci.yml/ci": [".ci/run"],
    "commands.yml/command": [".ci/python -m bot command"],
    "nightly.yml/build": [
        ".ci/python -m bot nightly fetch --history .zero3/history",
        ".ci/python -m bot dashboard --history .zero3/history --database .zero3/history.sqlite --out site",
        ".ci/python -m bot nightly pack site --out artifact.tar",
    ],
    "nightly.yml/keep": ['.ci/python -m bot nightly keep <<< "$PLAN"'],
    "nightly.yml/plan": [".ci/python -m bot nightly plan"],
    "nightly.yml/track": [".ci/python -m bot nightly track"],
    "pull-request.yml/plan": [".ci/python -m bot plan"],
    "report.yml/comment": [".ci/python -m bot comment"],
    "shards.yml/gate": ['echo "approved"'],
    "shards.yml/shard": [SHARD],
    "watch.yml/watch": [".ci/python -m bot watch"],
}
ACTIONS = {"actions/checkout", "actions/configure-pages", "actions/deploy-pages", "actions/upload-artifact"}
CANCELS = {"ci.yml": "${{ github.event_name == 'pull_request' }}", "pull-request.yml": "true"}
"""Where a newer run may end an older one; elsewhere never, a report that is cut off may leave half a comment."""


def w1_actions_are_pinned(workflow: Workflow) -> Iterator[str]:
    """By commit, with the version as a comment, and only those that are known here."""
    for target in workflow.uses:
        if target.startswith("./"):
            continue
        action, _, commit = target.partition("@")
        if action not in ACTIONS:
            yield f"{target}: an action that is not allowed"
        commented = re.search(re.escape(target) + r" # v\d+\.\d+\.\d+$", workflow.text, re.MULTILINE)
        if not re.fullmatch(r"[0-9a-f]{40}", commit) or not commented:
            yield f"{target}: not pinned by commit, or without its version"


def w2_permissions_are_listed(workflow: Workflow) -> Iterator[str]:
    if workflow.tree.get("permissions") != {}:
        yield "the workflow as a whole has permissions"
    for job in workflow.jobs:
        if job.tree.get("permissions") != PERMISSIONS.get(job.place, "none listed"):
            yield f"{job.place}: permissions {job.tree.get('permissions')} are not those listed"


def w3_triggers_are_listed(workflow: Workflow) -> Iterator[str]:
    """`pull_request_target` nowhere, `workflow_run` and `issue_comment` where only code of the default branch runs."""
    if workflow.triggers != TRIGGERS.get(workflow.name):
        yield f"triggers {sorted(workflow.triggers)} are not those listed"


def w4_steps_call_one_known_command(workflow: Workflow) -> Iterator[str]:
    """No logic, and no expression in a shell line: GitHub pastes it in as text before the shell reads it."""
    for job in workflow.jobs:
        if job.runs != COMMANDS.get(job.place, []):
            yield f"{job.place}: runs {job.runs}"
        yield from (f"{job.place}: an expression in {run!r}" for run in job.runs if "${{" in run)
        yield from (f"{job.place}: a shell of its own" for step in job.steps if "shell" in step)


def w5_checkouts_take_trusted_code_only(workflow: Workflow) -> Iterator[str]:
    """This project's own code, without leaving a token on disk. What another repository calls must name it."""
    expected = OWN_CODE if "workflow_call" in workflow.triggers else {"persist-credentials": "false"}
    for job in workflow.jobs:
        for step in job.steps:
            if "checkout" in step.get("uses", "") and step.get("with") != expected:
                yield f"{job.place}: checks out {step.get('with')}"


def w6_self_hosted_jobs_hold_nothing(workflow: Workflow) -> Iterator[str]:
    for job in (job for job in workflow.jobs if job.self_hosted):
        gate = workflow.tree["jobs"].get(job.tree.get("needs"), {})
        variables = {name for part in (workflow.tree, job.tree, *job.steps) for name in part.get("env", {})}
        broken = {
            "may be triggered by an event": workflow.triggers != {"workflow_call"},
            "is not behind the gate": " ".join(gate.get("environment", "").split()) != GATES.get(workflow.name),
            "holds a secret or a token": bool(re.search(r"secrets|github\.token", job.text)),
            "has a permission": job.tree.get("permissions") not in ({}, READ),
            "has no time limit": not job.tree.get("timeout-minutes"),
            "has variables beyond NAME and PLAN (R1)": not variables <= {"NAME", "PLAN"},
            "has no runner group and labels": not _has_group_and_labels(str(job.tree.get("runs-on"))),
        }
        yield from (f"{job.place}: {words}" for words, so in broken.items() if so)


def _has_group_and_labels(runs_on: str) -> bool:
    default = re.fullmatch(r"\$\{\{ fromJSON\(inputs\.runner \|\| '(.+)'\) \}\}", runs_on)
    return default is not None and {"group", "labels"} == json.loads(default[1]).keys()


def w7_privileged_jobs_run_the_bot_only(workflow: Workflow) -> Iterator[str]:
    for job in (job for job in workflow.jobs if job.privileged and job.place != DEPLOY):
        uses = [step["uses"].partition("@")[0] for step in job.steps if "uses" in step]
        broken = {
            "is not on a hosted machine": job.tree.get("runs-on") != HOSTED,
            "does not begin with code of this project": uses != ["actions/checkout"] or "uses" not in job.steps[0],
            "runs something else than the bot": not all(run.startswith(".ci/python -m bot ") for run in job.runs),
            "is reached by pull requests": not workflow.triggers.isdisjoint({"pull_request", "push"}),
            "is in no environment": job.tree.get("environment") != "zero3-bot",
        }
        yield from (f"{job.place}: {words}" for words, so in broken.items() if so)


def w7_one_job_publishes_and_does_nothing_else(workflow: Workflow) -> Iterator[str]:
    """It holds what Pages takes as proof of who publishes: no code runs there but GitHub's own action."""
    for job in workflow.jobs:
        if job.place != DEPLOY:
            allowed = job.tree.get("permissions", {}).items()
            yield from (
                f"{job.place}: may {level} {scope}" for scope, level in PAGES.items() if (scope, level) in allowed
            )
            continue
        broken = {
            "does something else": [step.get("uses", "").partition("@")[0] for step in job.steps]
            != ["actions/deploy-pages"],
            "is given something": any(step.keys() & {"with", "env", "run"} for step in job.steps),
            "is not on a hosted machine": job.tree.get("runs-on") != HOSTED,
            "is in another environment": job.tree.get("environment", {}).get("name") != "github-pages",
            "is reached by pull requests": not workflow.triggers.isdisjoint({"pull_request", "push"}),
        }
        yield from (f"{job.place}: {words}" for words, so in broken.items() if so)


def w7_one_job_pushes_and_only_records(workflow: Workflow) -> Iterator[str]:
    """Nothing else can change what is in the repository."""
    for job in workflow.jobs:
        if job.tree.get("permissions", {}).get("contents") == "write" and job.place != "nightly.yml/keep":
            yield f"{job.place}: may push"
        if job.place == "nightly.yml/keep" and "secrets." in job.text:
            yield f"{job.place}: holds more than its own token"


def w7_what_lasts_is_of_the_default_branch(workflow: Workflow) -> Iterator[str]:
    """By hand any branch can be run: its code writes nothing, and nothing of it is published.

    That is for mistakes: who writes a branch writes its workflows too. Against that, environments name their branches.
    """
    for job in workflow.jobs:
        if "workflow_dispatch" not in workflow.triggers or not (job.privileged or "github-pages" in job.text):
            continue
        first, *others = sorted(job.tree.get("if", "").split(" && "), key=lambda part: part != DEFAULT_BRANCH)
        if first != DEFAULT_BRANCH or any("||" in other for other in others):
            yield f"{job.place}: is of any branch"


def w8_secrets_are_named(workflow: Workflow) -> Iterator[str]:
    yield from (f"{job.place}: passes secrets on" for job in workflow.jobs if "secrets" in job.tree)
    if re.search(r"toJSON\(\s*(secrets|github)\s*\)|secrets\[", workflow.text):
        yield "takes secrets without naming them"


def w9_concurrency_is_stated(workflow: Workflow) -> Iterator[str]:
    stated = workflow.tree.get("concurrency", {})
    if not stated.get("group") or stated.get("cancel-in-progress") != CANCELS.get(workflow.name, "false"):
        yield f"concurrency {stated}"
    if "      selector:" in workflow.text and "inputs.selector" not in stated.get("group", ""):
        yield "a run of a part would cancel that of the whole"


def w10_ignores_have_reasons(workflow: Workflow) -> Iterator[str]:
    for line in workflow.text.splitlines():
        ignore = re.search(r"# zizmor: ignore(\[[a-z-]+\])?(.*)", line)
        if ignore and (not ignore[1] or len(ignore[2].split()) < 4):
            yield f"no reason: {line.strip()}"


def a4_artifacts_are_no_authority(workflow: Workflow) -> Iterator[str]:
    """No step downloads one: the bot does, through the API, as data; and nothing is cached for a later run to trust."""
    for job in workflow.jobs:
        for step in job.steps:
            if re.search(r"download-artifact|cache", json.dumps(step)):
                yield f"{job.place}: {step.get('uses', step)}"


def pull_requests_reach_nothing(workflow: Workflow) -> Iterator[str]:
    if "pull_request" in workflow.triggers:
        yield from (f"{job.place} is privileged" for job in workflow.jobs if job.privileged)


def an_empty_matrix_is_not_called(workflow: Workflow) -> Iterator[str]:
    """GitHub fails a job with an empty matrix."""
    for job in workflow.jobs:
        if job.called and job.tree.get("if") != "needs.plan.outputs.any == 'true'":
            yield f"{job.place}: called without a condition"


RULES: Mapping[str, Callable[[Workflow], Iterator[str]]] = {
    rule.__name__: rule
    for rule in (
        w1_actions_are_pinned,
        w2_permissions_are_listed,
        w3_triggers_are_listed,
        w4_steps_call_one_known_command,
        w5_checkouts_take_trusted_code_only,
        w6_self_hosted_jobs_hold_nothing,
        w7_privileged_jobs_run_the_bot_only,
        w7_one_job_publishes_and_does_nothing_else,
        w7_one_job_pushes_and_only_records,
        w7_what_lasts_is_of_the_default_branch,
        w8_secrets_are_named,
        w9_concurrency_is_stated,
        w10_ignores_have_reasons,
        a4_artifacts_are_no_authority,
        pull_requests_reach_nothing,
        an_empty_matrix_is_not_called,
    )
}

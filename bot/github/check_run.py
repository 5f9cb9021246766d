"""One step of writing a check run: create it, or add what it does not have yet."""

import math
from typing import Any

from github.CheckRun import CheckRun as GitHubCheckRun
from github.Repository import Repository

from bot.github.types import Annotation, CheckRun

ANNOTATIONS = 50
"""How many annotations GitHub takes in one request:
https://docs.github.com/en/rest/checks/runs#update-a-check-run"""


def steps(check: CheckRun) -> int:
    """How many times `write` has to be called until all of it is there."""
    return max(1, math.ceil(len(check.annotations) / ANNOTATIONS))


def write(repo: Repository, check: CheckRun) -> str:
    """Create the check run, or add the next annotations to it. Returns its address.

    GitHub adds the annotations of every update to those there are, so each step first asks how many arrived: a step
    can be repeated after its answer was lost.
    """
    found = _find(repo, check)
    there = found.output.annotations_count if found else 0
    if found is None:
        found = repo.create_check_run(check.name, check.head_sha, **_values(check, there))
    else:
        found.edit(**_values(check, there))
    return found.html_url


def _find(repo: Repository, check: CheckRun) -> GitHubCheckRun | None:
    named = repo.get_commit(check.head_sha).get_check_runs(check_name=check.name, filter="all")
    return next((run for run in named if (run.external_id or "") == check.external_id), None)


def _values(check: CheckRun, there: int) -> dict[str, Any]:
    batch = check.annotations[there : there + ANNOTATIONS]
    texts = {"title": check.title, "summary": check.summary, "text": check.text}
    output = {name: value for name, value in texts.items() if value or name == "summary"}
    details = {"details_url": check.details_url, "external_id": check.external_id}
    return {
        **{name: value for name, value in details.items() if value},
        "status": "completed",
        "conclusion": check.conclusion,
        "output": {**output, "annotations": [_annotation(each) for each in batch]},
    }


def _annotation(annotation: Annotation) -> dict[str, str | int]:
    return {
        "path": annotation.path,
        "start_line": annotation.start,
        "end_line": annotation.end,
        "annotation_level": annotation.level,
        "message": annotation.message,
    }

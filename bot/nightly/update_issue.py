"""Updates the issue that reports what changed between nightly runs. May be repeated at will."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from bot.github.client import GitHub
from bot.github.thread import Thread
from bot.nightly.issue import MARKER, TITLE, IssueUpdate, NightlyState, build_state, plan_update
from bot.nightly.verdict_changes import find_verdict_changes
from matrix.history.changes import query_verdict_histories
from matrix.history.database import History
from matrix.history.queries import query_nightly_runs

LATE: Final = timedelta(days=2)
"""How old the newest nightly run may be."""

RECENT: Final = timedelta(days=7)
"""How long the issue says that something is right again, or not measured any more."""

WORKFLOW: Final = "nightly.yml"
"""The file of the workflow of nightly runs."""


def read_nightly_state(history: History, today: date, oldest: int) -> NightlyState | None:
    """Returns what the history says today; None before the first run. No run leaves out what is `oldest` days old."""
    runs = query_nightly_runs(history)
    if not runs:
        return None
    last = runs[-1]
    found = find_verdict_changes(query_verdict_histories(history, oldest), last.day - RECENT)
    known = build_state(last.day, (last.complete, last.failed, last.incomplete, last.rejected), found)
    return replace(known, late=_late(last.day, today))


def _late(newest: date, today: date) -> bool:
    return today - newest > LATE


def update_issue(github: GitHub, project: str, now: NightlyState) -> str:
    """Updates the issue to the state `now` and returns in words what was done; raises GitHubError."""
    issue = github.find_issue(project, MARKER.start, closed=True)
    step = plan_update(issue, now)
    if step is None:
        return "The issue needs no change."
    if issue is None:
        return f"Opened issue {github.create_issue(project, TITLE, step.body, MARKER.start)} of {project}"
    _remark(Thread(github, project, issue.id), step)
    github.edit_issue(project, issue.id, step.body, step.state)
    return f"Updated issue {issue.id} of {project}, which is {step.state}"


def _remark(thread: Thread, step: IssueUpdate) -> None:
    """Posts a remark once. It comes before the new text, so that a job that is cut off here does both again and finds it."""
    if step.remark and not thread.holds(step.marker):
        thread.create(f"{step.remark}\n{step.marker}", step.marker)


def report_age(github: GitHub, project: str, newest: date | None, today: date) -> str:
    """Reports that no run has begun for too long, or that they begin again; `newest` is None where none is kept.

    Where no run was ever kept, it is reported only if runs are wanted: see `_missed`. Raises GitHubError.
    """
    issue = github.find_issue(project, MARKER.start, closed=True)
    before = (MARKER.parse(issue.body) if issue else None) or NightlyState(newest)
    newest = newest or before.night
    late = _late(newest, today) if newest else _missed(github, project, today)
    if late is before.late:
        return f"The newest nightly run is of {newest}." if newest else "There are no records of a nightly run."
    return update_issue(github, project, replace(before, night=newest, late=late))


def _missed(github: GitHub, project: str, today: date) -> bool:
    """Returns whether there should be a run: its workflow is enabled, and older than the newest run may be."""
    workflow = github.find_workflow(project, WORKFLOW)
    return workflow is not None and workflow.enabled and _late(workflow.since, today)

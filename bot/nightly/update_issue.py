"""The issue that tells what changed from night to night, brought up to date on GitHub. May be repeated at will."""

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
"""How old the newest night may be."""

RECENT: Final = timedelta(days=7)
"""How long it is told that something is right again, or not measured any more."""

WORKFLOW: Final = "nightly.yml"
"""The file of the workflow that makes nights."""


def read_nightly_state(history: History, today: date, oldest: int) -> NightlyState | None:
    """What the history says today; None before the first night. No night leaves out what is `oldest` days old."""
    told = query_nightly_runs(history)
    if not told:
        return None
    last = told[-1]
    found = find_verdict_changes(query_verdict_histories(history, oldest), last.day - RECENT)
    known = build_state(last.day, (last.complete, last.failed, last.incomplete, last.rejected), found)
    return replace(known, late=_late(last.day, today))


def _late(newest: date, today: date) -> bool:
    return today - newest > LATE


def update_issue(github: GitHub, project: str, now: NightlyState) -> str:
    """Tell what is known `now`, and say in words what became of it; raises GitHubError."""
    issue = github.find_issue(project, MARKER.start, closed=True)
    step = plan_update(issue, now)
    if step is None:
        return "The issue needs no change."
    if issue is None:
        return f"Opened {project} {github.create_issue(project, TITLE, step.body, MARKER.start)}"
    _remark(Thread(github, project, issue.id), step)
    github.edit_issue(project, issue.id, step.body, step.state)
    return f"Updated {project} {issue.id}, which is {step.state}"


def _remark(thread: Thread, step: IssueUpdate) -> None:
    """Once: before the text is changed, so that a job that is cut off here does it again and finds the remark."""
    if step.remark and not thread.holds(step.marker):
        thread.create(f"{step.remark}\n{step.marker}", step.marker)


def report_age(github: GitHub, project: str, newest: date | None, today: date) -> str:
    """Tell when no night has begun for too long, or that they begin again; `newest` is None where none is kept.

    None at all is told where nights are wanted: see `_missed`. Raises GitHubError.
    """
    issue = github.find_issue(project, MARKER.start, closed=True)
    before = (MARKER.parse(issue.body) if issue else None) or NightlyState(newest)
    newest = newest or before.night
    late = _late(newest, today) if newest else _missed(github, project, today)
    if late is before.late:
        return f"The newest night is {newest}." if newest else "No night is kept."
    return update_issue(github, project, replace(before, night=newest, late=late))


def _missed(github: GitHub, project: str, today: date) -> bool:
    """Whether there should be a night: where the workflow that makes them is older than one may be, and not disabled."""
    workflow = github.find_workflow(project, WORKFLOW)
    return workflow is not None and workflow.enabled and _late(workflow.since, today)

"""The answer to `/zero3 explain`: what the run behind the comment found about one architecture."""

from typing import Final

from bot.comment.outputs import render_comment
from bot.comment.upsert import find_ours
from bot.github.thread import Thread
from bot.pull_requests.assess import recompute_plan
from bot.pull_requests.report_run import compare_run
from bot.pull_requests.services import Services
from bot.pull_requests.subject import Ignored, find_subject
from bot.text import render_markdown_code

LIMIT: Final = 6_000
"""Characters of an answer about one architecture."""


def explain(architecture: str, number: int, services: Services) -> str:
    """Returns Markdown about `architecture` in the newest run that a comment of ours reports; raises GitHubError."""
    github, workflow = services.github, services.workflow
    thread = Thread(github, workflow.repository, number)
    posted = [one for one in find_ours(thread.comments(), github.login) if one.state]
    if not posted or not (state := posted[-1].state):
        return f"There are no results for {render_markdown_code(architecture)} yet: no run has finished."
    run = github.fetch_workflow_run(workflow.repository, state.run)
    found = find_subject(run, github, workflow)
    if isinstance(found, Ignored):
        return f"I can no longer read the run of my comment: {found.reason}."
    conclusion = compare_run(run, recompute_plan(services, run, found), services).narrow(architecture)
    if not conclusion.comparison.compared:
        return f"{render_markdown_code(architecture)} was not measured: this pull request does not affect it."
    return render_comment(conclusion.view(), LIMIT)

"""The answer to `/zero3 explain`: what the run behind the comment found about one architecture."""

from dataclasses import replace

from bot.comment.context import Facts
from bot.comment.outputs import markdown, view
from bot.comment.post import Thread
from bot.comment.upsert import ours
from bot.pull_requests.report_run import Office, compared
from bot.pull_requests.subject import Ignored, subject
from bot.text import markdown_code

LIMIT = 6_000
"""Characters of an answer about one architecture."""


def explained(architecture: str, number: int, office: Office) -> str:
    """Markdown about `architecture` in the newest run that a comment of ours tells about; raises GitHubError."""
    workflow, github = office.workflow, office.desk.github
    thread = Thread(github, workflow.repository, number)
    posted = [one for one in ours(thread.comments(), github.login) if one.state]
    if not posted or not (state := posted[-1].state):
        return f"Nothing is known about {markdown_code(architecture)} yet: no run has ended."
    run = github.workflow_run(workflow.repository, state.run)
    found = subject(run, github, workflow)
    if isinstance(found, Ignored):
        return f"The run of the comment cannot be read any more: {found.reason}."
    judged = office.judged(run, found)
    jobs = github.jobs(workflow.repository, run.id, run.attempt)
    comparison, _ = compared(github, run, judged.plan, jobs, workflow.repository)
    own = tuple(one for one in comparison.compared if one.key.architecture == architecture)
    if not own:
        return f"{markdown_code(architecture)} was not measured for this pull request: it touches nothing of it."
    return markdown(view(Facts(judged.plan, run_url=run.url), replace(comparison, compared=own)), LIMIT)

"""The commands that the workflows for pull requests call; each starts from the event of its job."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bot.comment.outputs import render_summary
from bot.github import actions
from bot.github.client import connect
from bot.github.events import CommentEvent, WorkflowRunEvent
from bot.nightly.steps import history_branch
from bot.nightly.update_issue import report_age
from bot.pull_requests.assess import assess, assess_change, render_model_graph
from bot.pull_requests.execute_command import answer_comment
from bot.pull_requests.explain import explain
from bot.pull_requests.plan import build_github_matrix
from bot.pull_requests.report_run import report_run
from bot.pull_requests.services import build_services, build_sources, fetch_pull_request, require_event
from bot.pull_requests.watch import watch
from bot.settings import load_settings
from matrix import clock
from matrix.catalog.catalog import load_catalog
from matrix.command_line.output import say
from matrix.comparison.plan import plan_to_json
from matrix.errors import INFRASTRUCTURE


def plan_command() -> None:
    """Plan what to measure for the pull request that started the job, and set the outputs `plan`, `matrix` and `any`."""
    context = actions.read_context()
    github = connect(context, load_settings().login)
    pull_request = fetch_pull_request(context, actions.read_event(context), github)
    assessed = assess(github, pull_request, context.selector, build_sources(context))
    for place in assessed.affected.touched:
        actions.log_verbatim(f"{place.path} {place.symbol}: {place.why}")
    actions.set_output(context, "plan", plan_to_json(assessed.plan))
    actions.set_output(context, "matrix", json.dumps(build_github_matrix(assessed.plan)))
    actions.set_output(context, "any", json.dumps(bool(assessed.plan.jobs)))


def comment_command() -> None:
    """Report the workflow run that started the job, in a comment and a check run.

    Where the bot may not comment, the tracking issue lists the result.
    """
    context = actions.read_context()
    event = require_event(WorkflowRunEvent, actions.read_event(context), context)
    services = build_services(context, load_settings(), event.repository)
    run = services.github.fetch_workflow_run(context.repository, event.workflow_run.id)
    reported = report_run(run, services)
    for words in reported.words:
        actions.log_verbatim(words)
    if reported.view:
        actions.write_summary(context, render_summary(reported.view))


def watch_command() -> None:
    """Find new pull requests that touch loading code in the watched repositories, and start measuring them.

    Also report that nightly runs are missing.
    """
    context, settings = actions.read_context(), load_settings()
    services = build_services(context, settings, actions.read_event(context).repository)
    results = watch(services, assess_change, clock.now())
    for watched in results:
        actions.log_verbatim(str(watched))
    newest = history_branch(context).newest()
    actions.log_verbatim(report_age(services.github, services.project, newest, clock.today()))
    if any(watched.problem for watched in results):
        raise typer.Exit(INFRASTRUCTURE)


def command_command() -> None:
    """Execute the command in the comment that started the job, if its author has write access, and reply once."""
    context = actions.read_context()
    event = require_event(CommentEvent, actions.read_event(context), context)
    services = build_services(context, load_settings(), event.repository)
    catalog = load_catalog()
    words = answer_comment(event, services, catalog, lambda name: explain(name, event.issue.number, services))
    actions.log_verbatim(words)


def models_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder with the sources of transformers.")],
) -> None:
    """Print which models take code from which other models, in the format of bot/models.json."""
    say(render_model_graph(folder), end=False)

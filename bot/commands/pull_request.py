"""The commands that workflows call, each from its event to what it leaves behind."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bot.comment.outputs import summary
from bot.github import actions
from bot.github.client import connect
from bot.github.events import CommentEvent, WorkflowRunEvent
from bot.nightly.steps import records_of
from bot.nightly.update_issue import track_age
from bot.pull_requests.assess import assess, assess_change, render_model_graph
from bot.pull_requests.comment_commands import Answers, answer
from bot.pull_requests.explain import explain
from bot.pull_requests.plan import github_matrix
from bot.pull_requests.report_run import report_run
from bot.pull_requests.services import build_services, build_sources, fetch_pull_request, require_event
from bot.pull_requests.watch import watch
from bot.settings import load_settings
from matrix import clock
from matrix.catalog.catalog import load_catalog
from matrix.comparison.plan import plan_to_json
from matrix.errors import INFRASTRUCTURE

app = typer.Typer()


@app.command(name="plan")
def plan_command() -> None:
    """Judge the pull request of the event, and set the outputs `plan`, `matrix` and `any`."""
    context = actions.context()
    github = connect(context, load_settings().login)
    pull_request = fetch_pull_request(context, actions.event(context), github)
    assessed = assess(github, pull_request, context.selector, build_sources(context))
    for place in assessed.affected.touched:
        actions.verbatim(f"{place.path} {place.symbol}: {place.why}")
    actions.set_output(context, "plan", plan_to_json(assessed.plan))
    actions.set_output(context, "matrix", json.dumps(github_matrix(assessed.plan)))
    actions.set_output(context, "any", json.dumps(bool(assessed.plan.duels)))


@app.command(name="comment")
def comment_command() -> None:
    """Tell about the workflow run of the event where it may be told: comment, check run, or the tracking issue."""
    context = actions.context()
    event = require_event(WorkflowRunEvent, actions.event(context), context)
    services = build_services(context, load_settings(), event.repository)
    run = services.github.workflow_run(context.repository, event.workflow_run.id)
    reported = report_run(run, services)
    for words in reported.words:
        actions.verbatim(words)
    if reported.view:
        actions.step_summary(context, summary(reported.view))


@app.command(name="watch")
def watch_command() -> None:
    """Judge what is new in the watched repositories, start measuring what touches loading code, and miss missing nights."""
    context, settings = actions.context(), load_settings()
    services = build_services(context, settings, actions.event(context).repository)
    rounds = watch(services, assess_change, clock.now())
    for watched in rounds:
        actions.verbatim(str(watched))
    newest = records_of(context).newest()
    actions.verbatim(track_age(services.github, services.project, newest, clock.today()))
    if any(watched.problem for watched in rounds):
        raise typer.Exit(INFRASTRUCTURE)


@app.command(name="command")
def command_command() -> None:
    """Do what the comment of the event asks for, if its author may, and reply once."""
    context = actions.context()
    event = require_event(CommentEvent, actions.event(context), context)
    services = build_services(context, load_settings(), event.repository)
    answers = Answers(load_catalog(), lambda name: explain(name, event.issue.number, services))
    actions.verbatim(answer(event, services, answers))


@app.command(name="models")
def models_command(folder: Annotated[Path, typer.Argument(help="A folder with transformers sources.")]) -> None:
    """Print which models take code from which, as bot/models.json holds it."""
    typer.echo(render_model_graph(folder), nl=False)

"""The commands that workflows call, each from its event to what it leaves behind."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bot.comment.outputs import summary
from bot.github import actions
from bot.github.events import CommentEvent, WorkflowRunEvent
from bot.nightly.steps import records_of
from bot.nightly.update_issue import track_age
from bot.pull_requests.assess import judge, models_text, touches
from bot.pull_requests.comment_commands import Answers, answer
from bot.pull_requests.explain import explained
from bot.pull_requests.plan import github_matrix
from bot.pull_requests.report_run import report
from bot.pull_requests.services import asked, door, expect, office, sources
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
    github = door(context, load_settings())
    wanted = asked(context, actions.event(context), github)
    judged = judge(github, wanted, context.selector, sources(context))
    for place in judged.affected.touched:
        actions.verbatim(f"{place.path} {place.symbol}: {place.why}")
    actions.set_output(context, "plan", plan_to_json(judged.plan))
    actions.set_output(context, "matrix", json.dumps(github_matrix(judged.plan)))
    actions.set_output(context, "any", json.dumps(bool(judged.plan.duels)))


@app.command(name="comment")
def comment_command() -> None:
    """Tell about the workflow run of the event where it may be told: comment, check run, or the tracking issue."""
    context = actions.context()
    event = expect(WorkflowRunEvent, actions.event(context), context)
    place = office(context, load_settings(), event.repository)
    run = place.desk.github.workflow_run(context.repository, event.workflow_run.id)
    told = report(run, place)
    for words in told.words:
        actions.verbatim(words)
    if told.view:
        actions.step_summary(context, summary(told.view))


@app.command(name="watch")
def watch_command() -> None:
    """Judge what is new in the watched repositories, start measuring what touches loading code, and miss missing nights."""
    context, settings = actions.context(), load_settings()
    place = office(context, settings, actions.event(context).repository)
    rounds = watch(place.desk, settings, touches, clock.now())
    for watched in rounds:
        actions.verbatim(str(watched))
    newest = records_of(context).newest()
    actions.verbatim(track_age(place.desk, newest, clock.today()))
    if any(watched.problem for watched in rounds):
        raise typer.Exit(INFRASTRUCTURE)


@app.command(name="command")
def command_command() -> None:
    """Do what the comment of the event asks for, if its author may, and reply once."""
    context = actions.context()
    event = expect(CommentEvent, actions.event(context), context)
    place = office(context, load_settings(), event.repository)
    answers = Answers(load_catalog(), lambda name: explained(name, event.issue.number, place))
    actions.verbatim(answer(event, place.desk, answers))


@app.command(name="models")
def models_command(folder: Annotated[Path, typer.Argument(help="A folder with transformers sources.")]) -> None:
    """Print which models take code from which, as bot/models.json holds it."""
    typer.echo(models_text(folder), nl=False)

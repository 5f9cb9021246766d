"""The commands of the workflow `nightly`, `python -m bot nightly ...`: each is one step, from records to records."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bot.github import actions
from bot.github.client import connect
from bot.nightly import summary as nightly_words
from bot.nightly.candidates import candidates
from bot.nightly.collect import gathered
from bot.nightly.pages_artifact import pack
from bot.nightly.plan import plan
from bot.nightly.steps import (
    RECORDS,
    NoRecordsError,
    asked,
    downloaded,
    history_in,
    keep,
    past_in,
    records_of,
    upstream,
)
from bot.nightly.update_issue import known_of, track
from bot.settings import load_settings
from matrix import clock
from matrix.environments.spec import load_environments
from matrix.nightly.plan import night_to_json, read_night

app = typer.Typer(no_args_is_help=True, help="What the workflow `nightly` calls.")
PlanFile = Annotated[str, typer.Option("--plan", help="The plan that `nightly plan` wrote; - reads stdin.")]


@app.command(name="plan")
def plan_command() -> None:
    """Plan a night from what is new and what the history holds, and set the outputs `plan`, `matrix` and `any`."""
    context, settings = actions.read_context(), load_settings()
    branch, news = records_of(context), upstream(connect(context, settings.login))
    branch.fetch()
    environments = candidates(load_environments(), context.environments, news)
    night = plan(environments, past_in(branch.folder), asked(context, settings, clock.now()), news.problems)
    shards = sorted({cell.shard for cell in night.plan.cells})
    actions.set_output(context, "plan", night_to_json(night.plan))
    actions.set_output(context, "matrix", json.dumps({"include": [{"shard": shard} for shard in shards]}))
    actions.set_output(context, "any", json.dumps(bool(shards)))
    actions.write_summary(context, nightly_words.planned(night))


@app.command(name="keep")
def keep_command(plan_file: PlanFile = "-") -> None:
    """Read what the machines of a night uploaded, and push it to the branch of records, with what none of them began."""
    context = actions.read_context()
    night = read_night(plan_file)
    found = gathered(night, downloaded(connect(context, load_settings().login), context, night))
    label = f"{context.run}-{context.attempt}"
    pushed = records_of(context).add(lambda history: keep(night, found, label, history), f"night of {night.night}")
    missing = len(night.cells) - len(found.believed)
    states = ["uploaded"] * len(found.believed) + ["without results"] * missing + ["refused"] * len(found.refused)
    actions.write_summary(context, nightly_words.kept(states, found.words, pushed=pushed))


@app.command(name="fetch")
def fetch_command(
    history: Annotated[
        Path, typer.Option(help="Folder for them: a new or an empty one, or one made by this.")
    ] = RECORDS,
) -> None:
    """Fetch the records of every night."""
    branch = records_of(actions.read_context(), history)
    if not branch.fetch():
        raise NoRecordsError(branch)


@app.command(name="pack")
def pack_command(
    site: Annotated[Path, typer.Argument(help="Folder with the site.")],
    out: Annotated[Path, typer.Option(help="The file that GitHub Pages takes.")] = Path("artifact.tar"),
) -> None:
    """Pack a site for GitHub Pages."""
    typer.echo(f"{pack(site, out):,} files")


@app.command(name="track")
def track_command() -> None:
    """Tell what changed in the issue `Nightly: what changed`."""
    context, settings, today = actions.read_context(), load_settings(), clock.today()
    github = connect(context, settings.login)
    branch = records_of(context)
    branch.fetch()
    with history_in(branch.folder) as history:
        now = known_of(history, today, settings.nightly.oldest)
    actions.log_verbatim(track(github, context.project, now) if now else "There is no night yet.")

"""The commands of the workflow `nightly`, `python -m bot nightly ...`: each is one step of a nightly run."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bot.github import actions
from bot.github.client import connect
from bot.nightly import summary as nightly_words
from bot.nightly.candidates import list_candidates
from bot.nightly.collect import collect_files
from bot.nightly.pages_artifact import pack_site
from bot.nightly.plan import plan_nightly_run
from bot.nightly.steps import (
    RECORDS,
    NoRecordsError,
    build_request,
    download_archives,
    fetch_news,
    history_branch,
    list_cases,
    open_history,
    read_past_runs,
    store_records,
)
from bot.nightly.update_issue import read_nightly_state, update_issue
from bot.settings import load_settings
from matrix import clock
from matrix.command_line.output import say
from matrix.environments.choose import load_environments
from matrix.nightly.plan import nightly_plan_to_json, read_nightly_plan

PlanFile = Annotated[
    str, typer.Option("--plan", help="File with the plan that `nightly plan` wrote, or - for standard input.")
]


def plan_command() -> None:
    """Plan a nightly run from new releases and from the history, and set the outputs `plan`, `matrix` and `any`."""
    context, settings = actions.read_context(), load_settings()
    branch, news = history_branch(context), fetch_news(connect(context, settings.login))
    branch.fetch()
    environments = list_candidates(load_environments(), context.environments, news)
    night = plan_nightly_run(
        environments, read_past_runs(branch.folder), build_request(context, settings, clock.now()), news.problems
    )
    shards = sorted({cell.shard for cell in night.plan.cells})
    actions.set_output(context, "plan", nightly_plan_to_json(night.plan))
    actions.set_output(context, "matrix", json.dumps({"include": [{"shard": shard} for shard in shards]}))
    actions.set_output(context, "any", json.dumps(bool(shards)))
    actions.write_summary(context, nightly_words.render_plan_summary(night))


def keep_command(plan_file: PlanFile = "-") -> None:
    """Check the results that the machines of a nightly run uploaded, and push them to the branch with the records.

    A planned cell that no machine started is recorded as not measured.
    """
    context = actions.read_context()
    night = read_nightly_plan(plan_file)
    archives = download_archives(connect(context, load_settings().login), context, night)
    found = collect_files(night, list_cases(), archives, clock.now())
    label = f"{context.run}-{context.attempt}"
    pushed = history_branch(context).add(
        lambda history: store_records(night, found, label, history), f"nightly run of {night.night}"
    )
    missing = len(night.cells) - len(found.believed)
    states = ["uploaded"] * len(found.believed) + ["without results"] * missing + ["rejected"] * len(found.rejected)
    actions.write_summary(context, nightly_words.render_collect_summary(states, found.words, pushed=pushed))


def fetch_command(
    history: Annotated[
        Path, typer.Option(help="Folder for the records. It must be new, empty, or filled by this command before.")
    ] = RECORDS,
) -> None:
    """Fetch the records of every nightly run."""
    branch = history_branch(actions.read_context(), history)
    if not branch.fetch():
        raise NoRecordsError(branch)


def pack_command(
    site: Annotated[Path, typer.Argument(metavar="SITE", help="Folder with the site.")],
    out: Annotated[Path, typer.Option(help="Archive to write, in the format of GitHub Pages.")] = Path("artifact.tar"),
) -> None:
    """Pack a site for GitHub Pages."""
    say(f"{pack_site(site, out):,} files")


def track_command() -> None:
    """Report changed verdicts in the issue `Nightly: what changed`."""
    context, settings, today = actions.read_context(), load_settings(), clock.today()
    github = connect(context, settings.login)
    branch = history_branch(context)
    branch.fetch()
    with open_history(branch.folder) as history:
        now = read_nightly_state(history, today, settings.nightly.oldest)
    actions.log_verbatim(
        update_issue(github, context.project, now) if now else "There are no records of a nightly run yet."
    )

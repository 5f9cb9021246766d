"""Assesses a pull request: what it changes, and what has to be measured for it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from bot.github.client import GitHub
from bot.github.types import Change, CommitComparison, PullRequest, WorkflowRun
from bot.loading_code.affected import Affected, find_affected
from bot.loading_code.model_graph import ModelGraph, build_model_graph
from bot.pull_requests.commit_sources import GITHUB, CommitSources, is_project
from bot.pull_requests.measuring_code import find_measuring_edit
from bot.pull_requests.plan import CANARIES, build_plan, describe_unplanned, narrow_plan
from bot.pull_requests.services import Services
from bot.pull_requests.subject import parse_selector
from bot.text import Sentence
from matrix.catalog.catalog import load_catalog
from matrix.catalog.select import select
from matrix.comparison.plan import ComparisonPlan
from matrix.environments.choose import load_environments

MODELS: Final = Path(__file__).parents[1] / "models.json"
"""Which model folders of the newest transformers take code from which: `python -m bot models` writes it."""


@cache
def load_model_graph() -> ModelGraph:
    """Returns which models of the newest transformers use which others. A model that is not in it is used by no other."""
    return ModelGraph({name: frozenset(used) for name, used in json.loads(MODELS.read_text()).items()})


def render_model_graph(folder: Path) -> str:
    """Returns the text of `bot/models.json` for the transformers sources in `folder`: one line for each model and its users."""
    files = (file for part in ("modular", "modeling") for file in folder.rglob(f"models/**/{part}_*.py"))
    users = build_model_graph({file.as_posix(): file.read_text(encoding="utf-8") for file in files}).users
    lines = [f"{json.dumps(name)}: {json.dumps(sorted(users[name]))}" for name in sorted(users)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


@dataclass(frozen=True)
class Assessment:
    """A pull request against the commit it branched off from, what it affects, and what has to be measured for that.

    `measuring_edit` is what it edits of the code that measures it, in words.
    """

    pull_request: PullRequest
    affected: Affected
    plan: ComparisonPlan
    notes: tuple[str, ...] = ()
    measuring_edit: Sentence = ()

    @property
    def uncovered(self) -> bool:
        """Tests whether only canaries cover what the change is about."""
        planned = {name for job in self.plan.jobs for name in job.architectures}
        return bool(planned) and not self.affected.everything and planned <= {*CANARIES}


def assess_change(change: Change) -> Affected:
    """Returns what a change affects; falsy when it touches no loading code."""
    return find_affected(change, load_model_graph())


def assess(
    github: GitHub, pull_request: PullRequest, selector: Sequence[str] = (), sources: CommitSources = GITHUB
) -> Assessment:
    """Returns what to measure for `pull_request`; with a `selector` only that part of it, and the canaries.

    Raises GitHubError. Base is where the head branched off: the pull request did not make what the base branch gained
    since. All is read of the commit that is measured, not of the head of this moment, which can move away and back.
    Only a change of more files than GitHub compares at once is read from the pull request, while its head is the same.
    """
    compared = github.compare_commits(pull_request.repository, pull_request.base.sha, pull_request.head.sha)
    change = compared.change if compared.whole else _fetch_larger_change(github, pull_request, compared)
    found = assess_change(change)
    catalog = load_catalog()
    pull_request = replace(pull_request, base=replace(pull_request.base, sha=compared.merge_base))
    planned = build_plan(pull_request, found, catalog, load_environments(), sources)
    planned = narrow_plan(planned, {entry.id for entry in select(catalog, selector)}) if selector else planned
    own = is_project(pull_request.repository, sources)
    edit = find_measuring_edit(replace(compared, change=change), own=own)
    return Assessment(pull_request, found, planned, describe_unplanned(found, catalog), edit)


def _fetch_larger_change(github: GitHub, pull_request: PullRequest, compared: CommitComparison) -> Change:
    """Fetches every file of a pull request; where its head has moved, those that are known of the commit, as a part."""
    change = github.fetch_change(pull_request)
    if github.fetch_pull_request(pull_request.repository, pull_request.number).head.sha == pull_request.head.sha:
        return change
    return replace(compared.change, total=max(change.total, compared.change.total + 1))


def recompute_plan(services: Services, run: WorkflowRun, pull_request: PullRequest) -> Assessment:
    """Assesses the pull request again on the trusted side, although the run that measured it was planned already.

    The jobs of that run executed the pull request's own code, which could have changed the plan as well as the results.
    So nothing that the run uploaded says what it should have measured: GitHub's data and the title of the run do. An
    artifact counts only as far as it fits this plan. Raises GitHubError.
    """
    return assess(services.github, pull_request, parse_selector(run), services.sources)

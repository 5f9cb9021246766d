"""What a pull request changes and what is measured for it: asked in the zone that measures, and again in the one that tells."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from bot.github.client import GitHub
from bot.github.types import Change, PullRequest
from bot.loading_code.affected import Affected, affected
from bot.loading_code.model_graph import ModelGraph, model_graph
from bot.pull_requests.plan import GITHUB, SENTINELS, Sources, narrowed, plan, unplanned
from matrix.catalog.catalog import load_catalog
from matrix.catalog.select import select
from matrix.comparison.plan import ComparisonPlan
from matrix.environments.spec import load_environments

MODELS: Final = Path(__file__).parents[1] / "models.json"
"""Which model folders of the newest transformers take code from which: `python -m bot models` writes it."""


@cache
def known_models() -> ModelGraph:
    """The models of the newest transformers; one that it does not have is used by no other."""
    return ModelGraph({name: frozenset(used) for name, used in json.loads(MODELS.read_text()).items()})


def models_text(folder: Path) -> str:
    """What `bot/models.json` holds for the transformers sources under `folder`: a line for each model and its users."""
    files = (file for part in ("modular", "modeling") for file in folder.rglob(f"models/**/{part}_*.py"))
    users = model_graph({file.as_posix(): file.read_text(encoding="utf-8") for file in files}).users
    lines = [f"{json.dumps(name)}: {json.dumps(sorted(users[name]))}" for name in sorted(users)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


@dataclass(frozen=True)
class Judged:
    """A pull request against the commit it branched off from, what it affects, and what that has measured."""

    pull_request: PullRequest
    affected: Affected
    plan: ComparisonPlan
    notes: tuple[str, ...] = ()
    own_workflows: bool = False

    @property
    def uncovered(self) -> bool:
        """Whether nothing but sentinels stands for what the change is about."""
        planned = {name for duel in self.plan.duels for name in duel.architectures}
        return bool(planned) and not self.affected.everything and planned <= {*SENTINELS}


def touches(change: Change) -> Affected:
    """What a change affects; false when it is no loading code."""
    return affected(change, known_models())


def judge(github: GitHub, pull_request: PullRequest, selector: Sequence[str] = (), sources: Sources = GITHUB) -> Judged:
    """What to measure for `pull_request`; with a `selector` of what it affects only that, and the sentinels.

    Raises GitHubError. Base is where the head branched off: what the base branch gained since is not the pull request's doing.
    """
    change = github.change(pull_request)
    found = touches(change)
    catalog = load_catalog()
    if found:
        base = github.merge_base(pull_request.repository, pull_request.base.sha, pull_request.head.sha)
        pull_request = replace(pull_request, base=replace(pull_request.base, sha=base))
    planned = plan(pull_request, found, catalog, load_environments(), sources)
    planned = narrowed(planned, {entry.id for entry in select(catalog, selector)}) if selector else planned
    workflows = not change.complete or any(path.startswith(".github/") for file in change.files for path in file.paths)
    return Judged(pull_request, found, planned, unplanned(found, catalog), workflows)

"""What a copy of this project, the working folder, knows of the package made-up, as JSON. Run as a module."""

import json
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

from bot.nightly.candidates import News, list_candidates
from bot.pull_requests.commit_sources import CommitSources
from bot.settings import load_settings
from matrix.comparison.compare import Role
from matrix.comparison.plan import ComparisonJob, ComparisonPlan, PlannedRevision, plan_from_json, plan_to_json
from matrix.environments.choose import find_environment, load_environments, read_named_environment
from matrix.environments.spec import Environment, plan_info
from matrix.errors import BadPlanError
from matrix.model import Cell, Device
from matrix.nightly.plan import NightlyCell, NightlyPlan, Reason, nightly_plan_from_json, nightly_plan_to_json
from matrix.results.write import append

DIGEST = f"sha256:{'0' * 64}"
NIGHT = NightlyPlan(date(2026, 11, 22), "2026-11-22T01:37:00Z", Device.CPU, DIGEST, DIGEST, 4, ())


def check_pin(environment: Environment, need: str) -> str:
    """Returns why a nightly plan of `environment` with `need` is rejected; empty when it is not."""
    cell = NightlyCell("shard-001", replace(environment, needs=(need,)), Reason.NEW)
    try:
        nightly_plan_from_json(nightly_plan_to_json(replace(NIGHT, cells=(cell,))))
    except BadPlanError as error:
        return str(error)
    return ""


commit, known = "a" * 40, load_environments()
named = read_named_environment({"ZERO3_MADE_UP": "1.2.3"}, known)
assert named
info = plan_info(named.id, {"python": "3.11.9", **named.pins}, Device.CPU, 2)
with append(Path("results/made-up.jsonl")) as writer:
    writer.header(Cell(info, "sha256:c", "sha256:p", "2026-11-22T18:00:00Z", 4))
newest = ComparisonJob("newest", (PlannedRevision(Role.NEWEST, {"made-up": "1.2.3"}),), ("llama:LlamaModel",))
plan = plan_to_json(ComparisonPlan("someone/made-up", 1, commit, commit, (newest,)))
(tip,) = (one for one in list_candidates(known, "nightly", News(tips={"made-up": commit})) if one.name)


facts = {
    "id": named.id,
    "same": find_environment(named.id, known).requirements == named.requirements,
    "requirements": named.requirements,
    "packages": info.packages,
    "pinned": plan_from_json(plan).jobs[0].revisions[0].pins,
    "repositories": CommitSources().packages,
    "watched": load_settings().watch,
    "tip": [tip.id, tip.commits],
    "pins": [check_pin(tip, need) for need in ("made-up==1.2.3", "made-up @ git+ssh://x.example/y@main")],
}
sys.stdout.write(json.dumps(facts))

"""What a copy of this project, the working folder, knows of the package made-up, as JSON. Run as a script."""

import json
import sys
from pathlib import Path

from bot.commands.documents import BLOCKS
from bot.nightly.candidates import News, list_candidates
from bot.pull_requests.commit_sources import CommitSources
from bot.settings import load_settings
from matrix.comparison.compare import Role
from matrix.comparison.plan import ComparisonJob, ComparisonPlan, PlannedRevision, plan_from_json, plan_to_json
from matrix.environments.choose import find_environment, load_environments, read_named_environment
from matrix.environments.spec import plan_info
from matrix.model import Cell, Device
from matrix.results.write import append

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
    "document": BLOCKS["packages"](),
}
sys.stdout.write(json.dumps(facts))

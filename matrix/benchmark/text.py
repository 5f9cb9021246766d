"""A benchmark as tables for people and as JSON for programs."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from matrix.benchmark.goals import Goal, Launch
from matrix.environments.packages import RECORDED


def describe_machine(environment: Mapping[str, Any]) -> dict[str, str]:
    """Returns what the numbers were measured on: hardware, ranks and the versions of the measured environment."""
    versions = ("python", *RECORDED)
    return {
        "system": f"{platform.system()} {platform.release()}",
        "hardware": str(environment.get("hardware", platform.machine())),
        "cores": str(len(os.sched_getaffinity(0))),
        "ranks": f"{environment.get('world_size', '')} {environment.get('backend', '')}".strip(),
        **{name: str(environment.get(name, "")) for name in versions},
    }


def format_json(described: Mapping[str, str], launches: Sequence[Launch], reached: Sequence[Goal]) -> str:
    """Returns everything measured as JSON, for programs."""
    return json.dumps(
        {
            "machine": dict(described),
            "goals": [{**asdict(goal), "met": goal.met} for goal in reached],
            "launches": [
                {
                    "name": launch.name,
                    "wall": launch.wall,
                    **asdict(launch.timing),
                    "architectures": len(launch.loaded),
                    "verdicts": dict(launch.verdicts),
                }
                for launch in launches
            ],
        },
        indent=1,
    )


def make_goals_table(reached: Sequence[Goal]) -> Table:
    """Returns the goals as a table."""
    table = Table("goal", "measured", "wanted", "")
    for goal in reached:
        words, style = ("met", "green") if goal.met else ("missed", "bold red")
        table.add_row(goal.name, f"{goal.value:.2f} {goal.unit}", goal.wanted, f"[{style}]{words}[/]")
    return table


def make_launches_table(launches: Sequence[Launch]) -> Table:
    """Returns the seconds of each launch, and where they went, as a table."""
    table = Table("launch", "wall", "imports", "load and save", "MiB per rank", "verdicts")
    for launch in launches:
        timing = launch.timing
        parts = [f"{value:.1f}" for value in (launch.wall, timing.import_seconds, timing.load_seconds)]
        shown = parts if timing.seconds else [parts[0], "", ""]
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in launch.verdicts.items())
        table.add_row(launch.name, *shown, f"{timing.rss_mb:.0f}" if timing.seconds else "", verdicts)
    return table

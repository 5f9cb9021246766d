"""The workflow files of this repository, as the tests read them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[3] / ".github" / "workflows"
HOSTED = "ubuntu-latest"


@dataclass(frozen=True)
class Job:
    """A job, its place as `file/job`, and the workflow that it belongs to."""

    place: str
    tree: Mapping[str, Any]
    workflow: "Workflow"

    @property
    def steps(self) -> list[Mapping[str, Any]]:
        return list(self.tree.get("steps", []))

    @property
    def runs(self) -> list[str]:
        return [step["run"] for step in self.steps if "run" in step]

    @property
    def text(self) -> str:
        return json.dumps(self.tree)

    @property
    def called(self) -> bool:
        return "uses" in self.tree

    @property
    def self_hosted(self) -> bool:
        return not self.called and self.tree.get("runs-on") != HOSTED

    @property
    def privileged(self) -> bool:
        return "secrets." in self.text or "write" in json.dumps(self.tree.get("permissions"))


@dataclass(frozen=True)
class Workflow:
    """A workflow file; every scalar in its tree is a string, so that `on` does not become a boolean."""

    name: str
    text: str

    @cached_property
    def tree(self) -> Mapping[str, Any]:
        tree: Mapping[str, Any] = yaml.load(self.text, Loader=yaml.BaseLoader)  # noqa: S506  (BaseLoader makes strings only)
        return tree

    @property
    def triggers(self) -> set[str]:
        return {self.tree["on"]} if isinstance(self.tree["on"], str) else set(self.tree["on"])

    @property
    def jobs(self) -> list[Job]:
        return [Job(f"{self.name}/{key}", tree, self) for key, tree in self.tree["jobs"].items()]

    @property
    def uses(self) -> list[str]:
        return [part["uses"] for job in self.jobs for part in (job.tree, *job.steps) if "uses" in part]


def load() -> list[Workflow]:
    """Every workflow of this repository."""
    return [Workflow(path.name, path.read_text(encoding="utf-8")) for path in sorted(FOLDER.iterdir())]

"""The real workflow files, run by act on this machine: no container, nothing fetched, actions replaced by tests/support/workflows/actions.

act enforces no permissions, concurrency, approvals or time limits; tests/workflows/test_workflows.py reads those.
"""

import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.workflows.files import load

ROOT = Path(__file__).parents[3]
ACT = Path(sysconfig.get_path("scripts")) / "act"
REPOSITORY = "example/zero3-matrix"


@dataclass(frozen=True)
class Acting:
    """A repository of its own with the workflows, a folder that jobs check out, and one for what they upload."""

    repository: Path
    source: Path
    artifacts: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, workflow: str, event: str, payload: Mapping[str, Any], *more: str) -> str:
        """Run one workflow for one event; what it logs. Raises CalledProcessError when a job fails."""
        (file := self.repository / "event.json").write_text(json.dumps(payload))
        variables = {"SOURCE": str(self.source), "ARTIFACTS": str(self.artifacts), **self.variables}
        command = [str(ACT), event, "--workflows", f".github/workflows/{workflow}", "--eventpath", str(file)]
        command += ["--action-offline-mode", "--pull=false", "--no-skip-checkout", *more]
        command += [part for label in ("ubuntu-latest", "self-hosted") for part in ("-P", f"{label}=-self-hosted")]
        command += [part for use in _uses() for part in ("--local-repository", f"{use}={_stand_in(use)}")]
        command += [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
        return subprocess.run(
            command, cwd=self.repository, env=self._own(), capture_output=True, text=True, check=True, timeout=1500
        ).stdout

    def _own(self) -> dict[str, str]:
        """This process's variables without a CI's own, and a home apart, where act keeps what it makes."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "ZERO3_", "ACT"))}
        return {**kept, "HOME": str(self.repository.parent), "XDG_CACHE_HOME": str(self.repository.parent / "cache")}


def prepare(folder: Path, source: Path, name: str = REPOSITORY) -> Acting:
    """A git repository called `name` in `folder` with this project's workflows; jobs check out `source`."""
    repository, artifacts = folder / "repository", folder / "artifacts"
    artifacts.mkdir()
    shutil.copytree(ROOT / ".github", repository / ".github")
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["remote", "add", "origin", f"https://github.com/{name}"],
        ["add", "."],
        ["-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message", "workflows"],
    ):
        subprocess.run(["git", *command], cwd=repository, check=True, capture_output=True)
    return Acting(repository, source, artifacts)


def _uses() -> list[str]:
    return sorted({use for workflow in load() for use in workflow.uses if not use.startswith("./")})


def _stand_in(use: str) -> Path:
    return ROOT / "tests" / "support" / "workflows" / "actions" / use.partition("@")[0].rpartition("/")[2]

"""A pull request to transformers, taken through the real workflow files by act, on real models and two ranks.

The repository is made from the sdist of the newest transformers; GitHub is the server of these tests.
"""

import io
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from matrix.catalog.lock import Lock
from matrix.catalog.lockfile import format_lock
from matrix.environments.choose import load_environments
from tests.support.github import state as show
from tests.support.github.server import GitHubServer, serving
from tests.support.github.state import Artifact, File, Job, Pull, Repository, Run, State, identity
from tests.support.workflows.act import ROOT, Acting, prepare

NAME = "huggingface/transformers"
BOT = "github-actions[bot]"
TOKEN = ("--secret", "GITHUB_TOKEN=ghs_job")
LOADER = "src/transformers/integrations/deepspeed.py"
NEWEST = load_environments()[0].transformers

CATALOG = """
[architectures]
"deepseek_v3:DeepseekV3ForCausalLM" = { family = "router" }
"mimi:MimiModel" = { family = "codebook" }
"resnet:ResNetForImageClassification" = { family = "batchnorm" }
"""

PRECISIONS = 'precisions = ["float32", "bf16"]'
"""What `environments.toml` has. Each precision takes a minute and a half, so one test has both."""


@dataclass(frozen=True)
class Fork:
    """A git repository with a branch per pull request."""

    path: Path

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
        done = subprocess.run(["git", *who, *arguments], cwd=self.path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def branch(self, name: str, path: str, change: tuple[str, str]) -> Pull:
        """A pull request of one commit, which changes one file."""
        self.git("checkout", "--quiet", "-b", name, "main")
        file = self.path / path
        text = file.read_text()
        assert text.count(change[0]) == 1
        file.write_text(text.replace(*change))
        self.git("commit", "--quiet", "--all", "--message", name)
        patch = self.git("diff", "main", name, "--", path)
        head, base = self.git("rev-parse", name), self.git("rev-parse", "main")
        number = int(self.git("rev-list", "--count", "--all")) + 100
        files = [File(path, patch=patch[patch.index("@@") :])]
        return Pull(number, head_sha=head, head_branch=name, base_sha=base, files=files)


@dataclass(frozen=True)
class Case:
    """One pull request taken through both workflows."""

    server: GitHubServer
    pull: Pull
    log: str

    @property
    def repository(self) -> Repository:
        return self.server.state.repositories[0]

    @property
    def comment(self) -> str:
        (posted,) = self.repository.comments
        return posted.body


def jobs(artifacts: Path) -> list[Job]:
    return [Job(f"cells / {folder.name.removeprefix('zero3-')}") for folder in artifacts.iterdir()]


def zipped(folder: Path) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*.jsonl")):
            archive.write(file, file.relative_to(folder).as_posix())
    return buffer.getvalue()


@contextmanager
def through_actions(folder: Path, fork: Fork, pull: Pull, precisions: str = '["float32"]') -> Iterator[Case]:
    """`pull` from the workflow that measures it to the one that reports, as GitHub would start them."""
    state = State([Repository(NAME, pulls=[pull])], tokens={"ghs_job": BOT})
    with serving(state) as server:
        acting = workflows(folder, fork, server, precisions)
        pushed = {"action": "synchronize", "pull_request": show.pull(state.repositories[0], pull, server.url)}
        home = {"repository": {"id": identity(NAME), "full_name": NAME, "default_branch": "main"}}
        log = acting.run("pull-request.yml", "pull_request", {**pushed, **home}, *TOKEN)
        done = Run(9, head_sha=pull.head_sha, head_branch=pull.head_branch, jobs=jobs(acting.artifacts))
        state.repositories[0].runs.append(done)
        for number, artifact in enumerate(sorted(acting.artifacts.iterdir())):
            state.repositories[0].artifacts.append(Artifact(number + 1, 9, artifact.name, zipped(artifact)))
        finished = {"action": "completed", "workflow_run": show.run(state.repositories[0], done, server.url)}
        log += acting.run("report.yml", "workflow_run", {**finished, **home}, *TOKEN)
        yield Case(server, pull, log)
    assert not server.violations, "\n".join(server.violations[:9])


def workflows(folder: Path, fork: Fork, server: GitHubServer, precisions: str) -> Acting:
    source, parts = folder / "source", (".ci", "bot", "matrix")
    for part in parts:
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    environments = source / "matrix" / "environments.toml"
    environments.write_text(environments.read_text().replace(PRECISIONS, f"precisions = {precisions}"))
    (source / "matrix" / "catalog.toml").write_text(CATALOG)
    (source / "matrix" / "catalog.lock.json").write_text(format_lock(Lock("", {}, ())))
    made = prepare(folder, source, NAME)
    mirror = {"KEY_0": f"url.file://{fork.path.parents[1]}/.insteadOf", "VALUE_0": "https://github.com/"}
    variables = {"GIT_CONFIG_COUNT": "1", **{f"GIT_CONFIG_{name}": value for name, value in mirror.items()}}
    variables |= {
        "GITHUB_API_URL": server.url,
        "ZERO3_PYTHON": sys.executable,
        # A sandbox has a /tmp of its own, but shows what it protects: so the repositories stay readable for a build.
        "ZERO3_VENVS": str(fork.path.parents[1]),
    }
    return Acting(made.repository, made.source, made.artifacts, variables)

"""From the event of a pull request to the comment: the real workflow files, run by act, on real models and two ranks.

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

import pytest

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
RESNET = "src/transformers/models/resnet/modeling_resnet.py"
NEWEST = load_environments()[0].transformers
NO_BUFFERS = (
    "named_buffers = dict(module.named_buffers(prefix=prefix[:-1], recurse=False))",
    "named_buffers: dict = {}",
)
NO_BROADCAST = ("                    torch.distributed.broadcast(value, src=0)\n", "")
DOCS = ("Copyright 2020", "Copyright 2020-2026")
FIX = (
    "        if isinstance(module, nn.Conv2d):\n            init.kaiming_normal_(",
    """        if isinstance(module, (nn.Conv2d, nn.Linear)) and module.weight.dim() < 2:
            return
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(""",
)


CATALOG = """
[architectures]
"deepseek_v3:DeepseekV3ForCausalLM" = { family = "router" }
"mimi:MimiModel" = { family = "codebook" }
"resnet:ResNetForImageClassification" = { family = "batchnorm" }
"""


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


@pytest.fixture(scope="session")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Fork:
    folder = tmp_path_factory.mktemp("github.com")
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "transformers"]
    subprocess.run([*download, f"transformers=={NEWEST}", "--dest", folder], check=True)
    path = folder / "huggingface" / "transformers"
    (archive,) = folder.glob("*.tar.gz")
    subprocess.run(["tar", "--extract", "--no-same-owner", "--file", archive, "--directory", folder], check=True)
    path.parent.mkdir()
    (folder / f"transformers-{NEWEST}").rename(path)
    made = Fork(path)
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("add", "--force", ".")
    made.git("commit", "--quiet", "--message", "sdist")
    (folder / "contributor").mkdir()
    (folder / "contributor" / "transformers").symlink_to(path)  # the forks share one store, as on GitHub
    return made


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
def through_actions(folder: Path, fork: Fork, pull: Pull) -> Iterator[Case]:
    """`pull` from the workflow that measures it to the one that reports, as GitHub would start them."""
    state = State([Repository(NAME, pulls=[pull])], tokens={"ghs_job": BOT})
    with serving(state) as server:
        acting = workflows(folder, fork, server)
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


def workflows(folder: Path, fork: Fork, server: GitHubServer) -> Acting:
    source, parts = folder / "source", (".ci", "bot", "matrix")
    for part in parts:
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
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


pytestmark = pytest.mark.end_to_end


def test_a_change_that_skips_buffers_is_blamed_on_every_rank(tmp_path: Path, fork: Fork) -> None:
    with through_actions(tmp_path, fork, fork.branch("skip", LOADER, NO_BUFFERS)) as case:
        (check,) = case.repository.checks
        answer, *_ = case.comment.splitlines()
        (row,) = [
            line for line in case.comment.splitlines() if line.startswith("| `mimi:MimiModel`") and "pass" in line
        ]
    assert answer == "**2 of 3 architectures lose values under ZeRO-3 with this change.**"
    assert "| pass → reported |" in row
    assert "MimiEuclideanCodebook" in row
    assert "| on ranks 0 and 1 |" in row
    assert f"transformers@{case.pull.head_sha} " in case.comment
    assert (check.conclusion, check.head_sha) == ("failure", case.pull.head_sha)
    assert {annotation["path"] for annotation in check.annotations} == {LOADER}


@pytest.mark.slow
def test_a_change_that_breaks_rank_1_alone_is_blamed_on_rank_1(tmp_path: Path, fork: Fork) -> None:
    with through_actions(tmp_path, fork, fork.branch("rank-1", LOADER, NO_BROADCAST)) as case:
        (row,) = [
            line for line in case.comment.splitlines() if line.startswith("| `deepseek_v3:") and "| pass → " in line
        ]
    assert "| pass → corrupt |" in row
    assert "DeepseekV3TopkRouter.e_score_correction_bias" in row
    assert "| on rank 1 only |" in row


@pytest.mark.slow
def test_a_change_to_one_model_that_ends_its_crash_is_seen(tmp_path: Path, fork: Fork) -> None:
    with through_actions(tmp_path, fork, fork.branch("fix", RESNET, FIX)) as case:
        (check,) = case.repository.checks
    assert "loses values" not in case.comment
    assert "fixed" in case.comment
    assert "`resnet:ResNetForImageClassification`" in case.comment
    assert "crash → pass" in case.comment
    assert check.conclusion == "success"
    assert "mimi" not in case.comment


def test_a_change_to_documentation_runs_nothing_and_says_nothing(tmp_path: Path, fork: Fork) -> None:
    with through_actions(tmp_path, fork, fork.branch("docs", "README.md", DOCS)) as case:
        assert not case.repository.comments
        assert not case.repository.checks
    assert "matrix duel" not in case.log

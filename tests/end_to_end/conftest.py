"""The repository that pull requests are made to."""

import subprocess
import sys

import pytest

from tests.support.workflows.upstream import NEWEST, Fork


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

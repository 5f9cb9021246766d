"""A pull request that edits code that measures it: its results could say anything."""

import pytest

from bot.github.types import Change, ChangedFile, CommitComparison, FileStatus
from bot.pull_requests.measuring_code import find_measuring_edit
from bot.text import strip_marks


def compared(*paths: str, previous: str | None = None, whole: bool = True) -> CommitComparison:
    files = tuple(ChangedFile(path, FileStatus.MODIFIED, previous) for path in paths)
    return CommitComparison("a" * 40, Change("own/zero3-matrix", files, len(files)), whole)


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/cells.yml", ".ci/python", ".ci/requirements.txt", "matrix/comparison/compare.py", "matrix/probe/compat.py",
        "matrix/process/sandbox.py", "matrix/results/write.py", "typer.py", "sitecustomize.py", "pyproject.toml", "rich/__init__.py",
    ],
)  # fmt: skip
def test_an_edit_of_what_measures_this_project(path: str) -> None:
    edit = find_measuring_edit(compared("README.md", path), own=True)
    assert strip_marks(edit) == f"it edits code that measures it, {path}"


@pytest.mark.parametrize("path", ["README.md", "docs/check.md", "bot/render.py", "tests/test_layers.py"])
def test_what_no_measuring_machine_runs(path: str) -> None:
    assert not find_measuring_edit(compared(path), own=True)


def test_of_another_project_only_workflows_measure() -> None:
    assert not find_measuring_edit(compared("src/transformers/modeling_utils.py", ".ci/run"), own=False)
    assert find_measuring_edit(compared(".github/workflows/zero3.yml"), own=False)


def test_a_workflow_that_is_renamed_away_counts_too() -> None:
    assert find_measuring_edit(compared("old.yml", previous=".github/workflows/zero3.yml"), own=False)


def test_files_that_nobody_listed_at_the_commit_could_be_any() -> None:
    edit = find_measuring_edit(compared("README.md", whole=False), own=False)
    assert strip_marks(edit) == "it changes more files than GitHub compares at once"

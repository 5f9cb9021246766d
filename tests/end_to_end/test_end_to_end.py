"""From the event of a pull request to the comment: loading code that changes for the worse, and none that changes."""

from pathlib import Path

import pytest

from tests.support.workflows.upstream import LOADER, Fork, through_actions

pytestmark = pytest.mark.end_to_end

NO_BUFFERS = (
    "named_buffers = dict(module.named_buffers(prefix=prefix[:-1], recurse=False))",
    "named_buffers: dict = {}",
)
DOCS = ("Copyright 2020", "Copyright 2020-2026")


def test_a_change_that_skips_buffers_is_blamed_on_every_rank(tmp_path: Path, fork: Fork) -> None:
    with through_actions(tmp_path, fork, fork.branch("skip", LOADER, NO_BUFFERS), '["float32", "bf16"]') as case:
        (check,) = case.repository.checks
        answer, *_ = case.comment.splitlines()
        (row,) = [
            line for line in case.comment.splitlines() if line.startswith("| `mimi:MimiModel`") and "pass → " in line
        ]
    assert answer == "**2 of 3 architectures lose values under ZeRO-3 in float32 and bf16 with this change.**"
    assert "| pass → reported |" in row
    assert "MimiEuclideanCodebook" in row
    assert "| on ranks 0 and 1 |" in row
    assert f"transformers@{case.pull.head_sha} " in case.comment
    assert (check.conclusion, check.head_sha) == ("failure", case.pull.head_sha)
    assert {annotation["path"] for annotation in check.annotations} == {LOADER}


def test_a_change_to_documentation_runs_nothing_and_says_nothing(tmp_path: Path, fork: Fork) -> None:
    with through_actions(tmp_path, fork, fork.branch("docs", "README.md", DOCS)) as case:
        assert not case.repository.comments
        assert not case.repository.checks
    assert "matrix duel" not in case.log

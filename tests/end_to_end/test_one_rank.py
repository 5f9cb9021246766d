"""From the event of a pull request to the comment: a change that breaks one rank alone."""

from pathlib import Path

import pytest

from tests.support.workflows.upstream import LOADER, Fork, through_actions

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

NO_BROADCAST = ("                    torch.distributed.broadcast(value, src=0)\n", "")


def test_a_change_that_breaks_rank_1_alone_is_blamed_on_rank_1(tmp_path: Path, fork: Fork) -> None:
    with through_actions(tmp_path, fork, fork.branch("rank-1", LOADER, NO_BROADCAST)) as case:
        (row,) = [
            line for line in case.comment.splitlines() if line.startswith("| `deepseek_v3:") and "| pass → " in line
        ]
    assert "| pass → corrupt |" in row
    assert "DeepseekV3TopkRouter.e_score_correction_bias" in row
    assert "| on rank 1 only |" in row

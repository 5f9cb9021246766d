"""From the event of a pull request to the comment: a change to one model that ends its crash."""

from pathlib import Path

import pytest

from tests.support.workflows.upstream import Fork, through_actions

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

RESNET = "src/transformers/models/resnet/modeling_resnet.py"
FIX = (
    "        if isinstance(module, nn.Conv2d):\n            init.kaiming_normal_(",
    """        if isinstance(module, (nn.Conv2d, nn.Linear)) and module.weight.dim() < 2:
            return
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(""",
)


def test_a_change_to_one_model_that_ends_its_crash_is_seen(tmp_path: Path, fork: Fork) -> None:
    with through_actions(tmp_path, fork, fork.branch("fix", RESNET, FIX)) as case:
        (check,) = case.repository.checks
    assert "loses values" not in case.comment
    assert "fixed" in case.comment
    assert "`resnet:ResNetForImageClassification`" in case.comment
    assert "crash → pass" in case.comment
    assert check.conclusion == "success"
    assert "mimi" not in case.comment

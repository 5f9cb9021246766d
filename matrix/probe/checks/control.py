"""The control: what `deepspeed.initialize` does to a plainly loaded model at stage 0, where nothing is sharded.

Before 0.19.2 (DeepSpeed #8066) deepspeed casts a whole model to the dtype that it trains in, buffers included, at any stage.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress

import torch
from torch import Tensor

from matrix.check_protocol import Flaws
from matrix.model import Kind, Precision
from matrix.probe import compat
from matrix.probe.checkpoint.fixture import Model, named_tensors


def control_is_needed(flaws: Flaws) -> bool:
    """Returns whether any rank has a rounded tensor. A collective call: all ranks get the same answer."""
    return _count(any(flaw.kind is Kind.ROUNDED for those in flaws.values() for flaw in those)) > 0


def _count(yes: bool) -> int:  # noqa: FBT001
    """Returns how many ranks say yes. A collective call."""
    from deepspeed.accelerator import get_accelerator

    answers = torch.tensor([int(yes)], device=get_accelerator().current_device_name())
    torch.distributed.all_reduce(answers)
    return int(answers.item())


def find_rounded_at_stage_0(
    load: Callable[[], Model], precision: Precision, judge: Callable[[Mapping[str, Tensor]], Flaws]
) -> tuple[str, ...] | None:
    """Loads a model plainly with `load`, and returns which tensors an engine at stage 0 rounds.

    Returns None where loading, or making the engine, raises: the control says nothing then.
    """
    model = None
    with suppress(Exception):
        model = load()
    # Ranks without a model would keep the others waiting.
    if _count(model is not None) < torch.distributed.get_world_size():
        return None
    try:
        engine = compat.initialize(model, precision, stage=0)
    except Exception:
        return None
    try:
        flaws = judge(named_tensors(engine.module))
    finally:
        compat.destroy(engine)
    return tuple(name for name, those in flaws.items() if any(flaw.kind is Kind.ROUNDED for flaw in those))

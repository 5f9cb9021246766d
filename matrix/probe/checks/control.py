"""The control: what `deepspeed.initialize` does to a plainly loaded model at stage 0, where nothing is sharded.

Before 0.19.2 (DeepSpeed #8066) deepspeed casts a whole model to the dtype that it trains in, buffers included, at any stage.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from matrix.check_protocol import Flaws
from matrix.model import Kind, Precision
from matrix.probe import compat
from matrix.probe.checkpoint.fixture import Model, named_tensors


def control_is_needed(flaws: Flaws) -> bool:
    """Returns whether any rank has a rounded tensor. A collective call: all ranks get the same answer."""
    from deepspeed.accelerator import get_accelerator

    rounded = any(flaw.kind is Kind.ROUNDED for those in flaws.values() for flaw in those)
    answer = torch.tensor([float(rounded)], device=get_accelerator().current_device_name())
    torch.distributed.all_reduce(answer)
    return bool(answer.item())


def find_rounded_at_stage_0(
    model: Model, precision: Precision, judge: Callable[[Mapping[str, Tensor]], Flaws]
) -> tuple[str, ...] | None:
    """Returns the tensors of a plainly loaded `model` that an engine rounds; None where no engine can be made of it."""
    try:
        engine = compat.initialize(model, precision, stage=0)
    except Exception:
        return None
    try:
        flaws = judge(named_tensors(engine.module))
    finally:
        compat.destroy(engine)
    return tuple(name for name, those in flaws.items() if any(flaw.kind is Kind.ROUNDED for flaw in those))

"""The control: what `deepspeed.initialize` does to a plainly loaded model at stage 0, where nothing is sharded.

Before 0.19.2 (DeepSpeed #8066) deepspeed casts a whole model to the dtype that it trains in, buffers included, at any stage.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from matrix.check_protocol import Flaw, Flaws
from matrix.model import Kind, Precision
from matrix.probe import compat
from matrix.probe.checkpoint.fixture import Model, named_tensors


def control_is_needed(flaws: Flaws) -> bool:
    """Returns whether any rank has a rounded tensor. A collective call: all ranks get the same answer."""
    return _count(any(map(_are_rounded, flaws.values()))) > 0


def _are_rounded(flaws: Sequence[Flaw]) -> bool:
    return any(flaw.kind is Kind.ROUNDED for flaw in flaws)


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
    model = _attempt(load)
    if not _all_have(model):
        return None
    engine = _attempt(lambda: compat.initialize(model, precision, stage=0))
    try:
        flaws = judge(named_tensors(engine.module)) if _all_have(engine) else None
    finally:
        compat.destroy(engine)
    return None if flaws is None else tuple(name for name, those in flaws.items() if _are_rounded(those))


def _attempt(act: Callable[[], Any]) -> Any:
    """Returns what `act` returns, None where it raises."""
    with suppress(Exception):
        return act()
    return None


def _all_have(thing: object) -> bool:
    """Returns whether no rank has None. A collective call: all ranks go on, or none does.

    Where `deepspeed.initialize` raised on one rank, others may still wait for it there. They then wait until the time
    limit of the case, as they would without this call.
    """
    return _count(thing is not None) == torch.distributed.get_world_size()

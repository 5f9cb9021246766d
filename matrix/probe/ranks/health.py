"""Can a rank that has raised be used again? Tested, not assumed."""

import deepspeed
import torch

from matrix.probe import compat

_TOKEN = 42.0


def _agree(device: str) -> bool:
    """Returns whether the ranks are at the same collective. One that raised a call early hangs or gets other values."""
    # The rank is part of it: a value must come from the rank that it is credited to.
    mine = torch.tensor([_TOKEN, float(torch.distributed.get_rank())], device=device)
    gathered = [torch.zeros_like(mine) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(gathered, mine)
    return all(bool((got.cpu() == torch.tensor([_TOKEN, float(rank)])).all()) for rank, got in enumerate(gathered))


def _shards() -> bool:
    """Returns whether ZeRO-3 still partitions a new module and gathers what was put into it."""
    with deepspeed.zero.Init(config_dict_or_path=compat.ZERO3):
        # 15 elements: they do not split evenly between two ranks, so padding is tried too.
        weight = torch.nn.Linear(3, 5, bias=False).weight
    with deepspeed.zero.GatheredParameters([weight], modifier_rank=0), torch.no_grad():
        weight.fill_(_TOKEN)
    with deepspeed.zero.GatheredParameters([weight]):
        return hasattr(weight, "ds_id") and weight.numel() == 15 and bool((weight == _TOKEN).all())


def is_healthy() -> bool:
    """Returns whether this rank can be used again. All ranks ask at the same time; may hang if one cannot."""
    if not compat.is_pristine() or torch.get_default_dtype() is not torch.float32:
        return False
    device = deepspeed.accelerator.get_accelerator().current_device_name()
    return _agree(device) and _shards() and compat.is_pristine()

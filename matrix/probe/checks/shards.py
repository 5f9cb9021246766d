"""Reads and writes the shards of a ZeRO-3 model, as ZeRO-3 lays them out over the ranks."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from matrix.probe.checkpoint.fixture import Model, set_buffer


def are_partitioned(parameters: Iterable[Any]) -> bool:
    """Returns whether all are sharded: each rank holds one part of `world_size`, padded to the same length."""
    world = torch.distributed.get_world_size()
    return all(hasattr(p, "ds_tensor") and p.ds_tensor.numel() == -(-p.ds_numel // world) for p in parameters)


def _gather(shards: list[Tensor]) -> list[Tensor]:
    """Returns each of `shards` put together from all ranks, flat and still padded; all of one dtype."""
    # One collective for all: a tiny model has hundreds of parameters, and each call costs a round trip.
    mine = torch.cat([shard.detach().flatten() for shard in shards])
    ranks = [torch.empty_like(mine) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(ranks, mine)
    lengths = [shard.numel() for shard in shards]
    parts = [rank.cpu().split(lengths) for rank in ranks]
    return [torch.cat(parts_of_one) for parts_of_one in zip(*parts, strict=True)]


def gather_parameters(model: Model) -> dict[str, Tensor]:
    """Returns what the ranks together hold of every sharded parameter, by each of its names, on CPU.

    Reads the shards themselves: up to deepspeed 0.19.7 `GatheredParameters` over several parameters returns when gloo
    has gathered the last, whatever the others do, and that would be taken for a finding.
    """
    named = {name: p for name, p in model.named_parameters(remove_duplicate=False) if hasattr(p, "ds_tensor")}
    whole: dict[str, Tensor] = {}
    for dtype in dict.fromkeys(parameter.ds_tensor.dtype for parameter in named.values()):
        names = [name for name, parameter in named.items() if parameter.ds_tensor.dtype == dtype]
        for name, flat in zip(names, _gather([named[name].ds_tensor for name in names]), strict=True):
            whole[name] = flat[: named[name].ds_numel].view(named[name].ds_shape)
    return whole


def _shard(value: Tensor, length: int) -> Tensor:
    """Returns what this rank holds of `value`, flat and padded to `length` elements, as ZeRO-3 lays it out."""
    flat = torch.zeros(length * torch.distributed.get_world_size(), dtype=value.dtype)
    flat[: value.numel()] = value.flatten()
    return flat[length * torch.distributed.get_rank() :][:length]


@torch.no_grad()
def fill(model: Model, values: Mapping[str, Tensor]) -> None:
    """Gives a ZeRO-3 model known values: whole buffers and this rank's shards. Sends nothing to the other ranks."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    buffers = {name for name, _ in model.named_buffers(remove_duplicate=False)}
    for name, value in values.items():
        if name in parameters:
            shard = parameters[name].ds_tensor
            shard.copy_(_shard(value, shard.numel()))
        elif name in buffers:  # one that the load lost will be missed in what was saved
            set_buffer(model, name, value)


def poison(model: Model) -> None:
    """Overwrites what the model holds: freed memory that comes back must not look like a right load."""
    shards = [parameter.ds_tensor for parameter in model.parameters() if hasattr(parameter, "ds_tensor")]
    for tensor in (*shards, *model.buffers()):
        if not tensor.is_meta and tensor.dtype is not torch.bool:
            # Integers have no NaN, and a bool has no third value, so 0 has to do and bools stay.
            tensor.data.fill_(float("nan") if tensor.dtype.is_floating_point or tensor.dtype.is_complex else 0)

"""The checks of one rank: load a model under ZeRO-3 and look at every tensor; save it the way users do and look again."""

import gc
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import deepspeed
import torch
from torch import Tensor

from matrix.job import Task
from matrix.model import Architecture, Check, Tensors
from matrix.probe import compat as eras
from matrix.probe.checkpoint.fixture import Model, flaws, folder, load_reference, named_tensors, put, save
from matrix.probe.checkpoint.judge import Flaw, Reference
from matrix.probe.checks.loaders import loader
from matrix.probe.stopwatch import Stopwatch
from matrix.probe.tiny import recipes
from matrix.probe.uninitialized import without_luck


@dataclass(frozen=True)
class Seen:
    """What one rank saw in one check. `missing` are the tensors that the loader reported as missing."""

    flaws: dict[str, list[Flaw]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    partitioned: bool = True
    tensors: Tensors = field(default_factory=Tensors)
    seconds: float = 0.0
    load_seconds: float = 0.0


def _partitioned(parameters: Iterable[Any]) -> bool:
    """Whether every parameter really is sharded: each rank holds one part of `world_size`, padded to the same length."""
    world = torch.distributed.get_world_size()
    return all(hasattr(p, "ds_tensor") and p.ds_tensor.numel() == -(-p.ds_numel // world) for p in parameters)


def _gather(shards: list[Tensor]) -> list[Tensor]:
    """Each of `shards` put together from all ranks, flat and still padded; all of one dtype."""
    mine = torch.cat([shard.detach().flatten() for shard in shards])
    ranks = [torch.empty_like(mine) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(ranks, mine)
    lengths = [shard.numel() for shard in shards]
    parts = [rank.cpu().split(lengths) for rank in ranks]
    return [torch.cat(parts_of_one) for parts_of_one in zip(*parts, strict=True)]


def whole_parameters(model: Model) -> dict[str, Tensor]:
    """What the ranks together hold of every sharded parameter, by each of its names, on CPU.

    Read from the shards themselves: up to deepspeed 0.17 `GatheredParameters` over several parameters returns before
    gloo has gathered all but the last (fixed upstream by waiting for every handle), which would be taken for a finding.
    """
    named = {name: p for name, p in model.named_parameters(remove_duplicate=False) if hasattr(p, "ds_tensor")}
    whole: dict[str, Tensor] = {}
    for dtype in dict.fromkeys(parameter.ds_tensor.dtype for parameter in named.values()):
        names = [name for name, parameter in named.items() if parameter.ds_tensor.dtype == dtype]
        for name, flat in zip(names, _gather([named[name].ds_tensor for name in names]), strict=True):
            whole[name] = flat[: named[name].ds_numel].view(named[name].ds_shape)
    return whole


def _judge_sharded(model: Model, reference: Reference) -> dict[str, list[Flaw]]:
    actual = {**named_tensors(model), **whole_parameters(model)}
    return flaws(actual, reference, {**reference.expected, **reference.nonpersistent})


def _counts(reference: Reference) -> Tensors:
    parameters = len(reference.parameters)
    return Tensors(len(reference.expected) - parameters, parameters, len(reference.nonpersistent))


def _shard(value: Tensor, length: int) -> Tensor:
    """What this rank holds of `value`, flat and padded to `length` elements, as ZeRO-3 lays it out."""
    flat = torch.zeros(length * torch.distributed.get_world_size(), dtype=value.dtype)
    flat[: value.numel()] = value.flatten()
    return flat[length * torch.distributed.get_rank() :][:length]


@torch.no_grad()
def _hold(model: Model, values: dict[str, Tensor]) -> None:
    """Give a ZeRO-3 model known values: whole buffers and this rank's shards, without a word to the other ranks."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    buffers = {name for name, _ in model.named_buffers(remove_duplicate=False)}
    for name, value in values.items():
        if name in parameters:
            shard = parameters[name].ds_tensor
            shard.copy_(_shard(value, shard.numel()))
        elif name in buffers:  # one that the load lost will be missed in what was saved
            put(model, name, value)


_reference = lru_cache(maxsize=1)(load_reference)
"""Read once for both loaders, which come one after the other. Nobody writes into it: what a model is given are copies."""


def _poison(model: Model) -> None:
    """Overwrite what the model holds: freed memory that comes back must not look like a right load."""
    shards = [parameter.ds_tensor for parameter in model.parameters() if hasattr(parameter, "ds_tensor")]
    for tensor in (*shards, *model.buffers()):
        if not tensor.is_meta and tensor.dtype is not torch.bool:
            tensor.data.fill_(float("nan") if tensor.dtype.is_floating_point or tensor.dtype.is_complex else 0)


class Session:
    """One architecture on one rank: loaded once, then each check looks at the same model.

    `root` holds the fixtures. Every rank of the group runs the same methods in the same order.
    """

    def __init__(self, task: Task, architecture: Architecture, root: Path) -> None:
        self.task = task
        self.cls = recipes.model_class(architecture)
        self.root, self.path = root, folder(root, architecture.id)
        self.saved = self.path / f"saved.{task.loader}"  # the other loader may be at work on the same architecture
        self.model: Model = None
        self.missing: tuple[str, ...] = ()
        self.watch = Stopwatch()

    @cached_property
    def reference(self) -> Reference:
        """What the model should hold, read once it is loaded: a load that raises needs none."""
        return _reference(self.root, self.task.architecture)

    def run(self, check: Check) -> Seen:
        """Do `check` and tell what this rank saw. Whatever upstream raises goes through."""
        started, loading = time.perf_counter(), self.watch.seconds
        with eras.zero3_config(eras.ZERO3):
            if self.model is None:
                self._load()
            partitioned = _partitioned(self.model.parameters())
            if check is Check.SAVE and partitioned:
                self._save()
        missing: tuple[str, ...] = ()
        if check is Check.SAVE:
            found = self._reload() if partitioned else {}
        else:
            found, missing = _judge_sharded(self.model, self.reference), self.missing
        seconds = time.perf_counter() - started
        spent = self.watch.seconds - loading
        return Seen(found, missing, partitioned, _counts(self.reference), seconds, spent)

    def _load(self) -> None:
        with loader(self.task.loader), without_luck(), self.watch.running():
            self.model, info = self.cls.from_pretrained(self.path / "checkpoint", output_loading_info=True)
        self.missing = tuple(sorted(info["missing_keys"]))

    def _save(self) -> None:
        """As users do after training: engine, consolidated 16-bit state, `save_pretrained` on rank 0."""
        _hold(self.model, self.reference.expected)
        trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trainable) if trainable else None
        engine, *_ = deepspeed.initialize(model=self.model, optimizer=optimizer, config=eras.ZERO3)
        try:
            with without_luck():
                state = engine._zero3_consolidated_16bit_state_dict()
            if torch.distributed.get_rank() == 0:
                with without_luck(), self.watch.running():
                    save(self.model, self.saved, state_dict=state)
        finally:
            eras.destroy(engine)

    def _reload(self) -> dict[str, list[Flaw]]:
        """What is wrong after a plain load of what rank 0 saved: rank 0 looks, the others have nothing to say."""
        if torch.distributed.get_rank() != 0:
            return {}
        with without_luck(), self.watch.running():
            model = self.cls.from_pretrained(self.saved)
        return flaws(named_tensors(model), self.reference, self.reference.expected)

    def close(self) -> None:
        """Free the model: its parameters, hooks and engine refer to each other.

        What survives is frozen, because deepspeed.initialize collects garbage over all objects there are, each time.
        """
        if self.model is not None:
            _poison(self.model)
        self.model = None
        gc.collect()
        gc.freeze()

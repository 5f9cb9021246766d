"""The checks of one rank: load a model under ZeRO-3 and look at every tensor; save it the way users do and look again."""

import gc
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import deepspeed
import torch
from torch import Tensor

from matrix.model import Architecture, Check, Task, Tensors
from matrix.probe import eras, recipes
from matrix.probe.fixture import Model, flaws, folder, load_reference, put
from matrix.probe.judge import Flaw, Reference
from matrix.probe.loaders import loader
from matrix.probe.stopwatch import Stopwatch


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


def _judge_gathered(model: Model, reference: Reference) -> dict[str, list[Flaw]]:
    sharded = [parameter for parameter in model.parameters() if hasattr(parameter, "ds_id")]
    with deepspeed.zero.GatheredParameters(sharded):
        return flaws(model, reference, {**reference.expected, **reference.nonpersistent})


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
    for name, value in values.items():
        if name in parameters:
            shard = parameters[name].ds_tensor
            shard.copy_(_shard(value, shard.numel()))
        else:
            put(model, name, value)


class Session:
    """One architecture on one rank: loaded once, then each check looks at the same model.

    `root` holds the fixtures. Every rank of the group runs the same methods in the same order.
    """

    def __init__(self, task: Task, architecture: Architecture, root: Path) -> None:
        self.task = task
        self.cls = recipes.model_class(architecture)
        self.path = folder(root, architecture.id)
        self.reference = load_reference(root, architecture.id)
        self.model: Model = None
        self.missing: tuple[str, ...] = ()
        self.watch = Stopwatch()

    def run(self, check: Check) -> Seen:
        """Do `check` and tell what this rank saw. Whatever upstream raises goes through."""
        started, loading = time.perf_counter(), self.watch.seconds
        with eras.zero3_config(eras.ZERO3):
            if self.model is None:
                self._load()
            if check is Check.SAVE:
                self._save()
        found = self._reload() if check is Check.SAVE else _judge_gathered(self.model, self.reference)
        partitioned = check is Check.SAVE or _partitioned(self.model.parameters())
        seconds = time.perf_counter() - started
        spent = self.watch.seconds - loading
        return Seen(found, self.missing, partitioned, _counts(self.reference), seconds, spent)

    def _load(self) -> None:
        with loader(self.task.loader), self.watch.running():
            self.model, info = self.cls.from_pretrained(self.path / "checkpoint", output_loading_info=True)
        self.missing = tuple(sorted(info["missing_keys"]))

    def _save(self) -> None:
        """As users do after training: engine, consolidated 16-bit state, `save_pretrained` on rank 0."""
        _hold(self.model, self.reference.expected)
        trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trainable) if trainable else None
        engine, *_ = deepspeed.initialize(model=self.model, optimizer=optimizer, config=eras.ZERO3)
        try:
            state = engine._zero3_consolidated_16bit_state_dict()
            if torch.distributed.get_rank() == 0:
                with self.watch.running():
                    self.model.save_pretrained(self.path / "saved", state_dict=state)
        finally:
            eras.destroy(engine)

    def _reload(self) -> dict[str, list[Flaw]]:
        """What is wrong after a plain load of what rank 0 saved: rank 0 looks, the others have nothing to say."""
        if torch.distributed.get_rank() != 0:
            return {}
        with self.watch.running():
            model = self.cls.from_pretrained(self.path / "saved")
        return flaws(model, self.reference, self.reference.expected)

    def close(self) -> None:
        """Free the model: its parameters, hooks and engine refer to each other.

        What survives is frozen, because deepspeed.initialize collects garbage over all objects there are, each time.
        """
        self.model = None
        gc.collect()
        gc.freeze()

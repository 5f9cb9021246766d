"""One architecture on one rank: loaded once under ZeRO-3, then given to each check of `matrix.checks`."""

import gc
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from matrix.check_protocol import Flaw
from matrix.checks import CHECKS
from matrix.job import Task
from matrix.model import Architecture, Check, Tensors
from matrix.probe import compat
from matrix.probe.checkpoint.fixture import Model, find_flaws, fixture_folder, load_reference, named_tensors, save
from matrix.probe.checkpoint.judge import Reference
from matrix.probe.checks import shards
from matrix.probe.checks.loaders import use_loader
from matrix.probe.stopwatch import Stopwatch
from matrix.probe.tiny import recipes
from matrix.probe.uninitialized import poisoned_memory


@dataclass(frozen=True)
class Seen:
    """What one rank saw in one check: a `matrix.check_protocol.CheckResult`, and what is the same for every check."""

    flaws: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    partitioned: bool = True
    tensors: Tensors = field(default_factory=Tensors)
    seconds: float = 0.0
    load_seconds: float = 0.0


def _count(reference: Reference) -> Tensors:
    parameters = len(reference.parameters)
    return Tensors(len(reference.expected) - parameters, parameters, len(reference.nonpersistent))


_load_reference = lru_cache(maxsize=1)(load_reference)
"""Read once for both loaders, which follow each other. Nobody writes into it: what a model is given are copies."""


class Session:
    """What a check gets of the probe, as `matrix.check_protocol.CheckSession` documents it.

    `root` holds the fixtures. Every rank of the group runs the same methods in the same order.
    """

    def __init__(self, task: Task, architecture: Architecture, root: Path) -> None:
        self.task = task
        self.model_class = recipes.find_class(architecture)
        self.root, self.path = root, fixture_folder(root, architecture.id)
        self.folder = self.path / f"saved.{task.loader}"  # the other loader may be at work on the same architecture
        self.config = compat.ZERO3
        self.missing: tuple[str, ...] = ()
        self.watch = Stopwatch()
        self._loaded: Model = None

    @property
    def model(self) -> Model:
        """The model. Raises what loading it raises."""
        if self._loaded is None:
            with self.under_zero3():
                self._load()
        return self._loaded

    @cached_property
    def _reference(self) -> Reference:
        """What the model should hold, read once it is loaded: a load that raises needs none."""
        return _load_reference(self.root, self.task.architecture)

    @property
    def expected(self) -> Mapping[str, Tensor]:
        """The tensors of the checkpoint."""
        return self._reference.expected

    @property
    def partitioned(self) -> bool:
        """Whether ZeRO-3 sharded every parameter."""
        return shards.are_partitioned(self.model.parameters())

    def run(self, check: Check) -> Seen:
        """Does `check` and returns what this rank saw. Raises whatever upstream raises."""
        started, loading = time.perf_counter(), self.watch.seconds
        # Looked at before the check, which may change the model: an engine takes the parameters over.
        partitioned = self.partitioned
        result = CHECKS[check].run(self)
        seconds = time.perf_counter() - started
        spent = self.watch.seconds - loading
        return Seen(result.flaws, result.missing, partitioned, _count(self._reference), seconds, spent)

    def _load(self) -> None:
        with use_loader(self.task.loader), self.poisoned(), self.timed():
            self._loaded, info = self.model_class.from_pretrained(self.path / "checkpoint", output_loading_info=True)
        # A set in some releases and a list in others; records must not depend on its order.
        self.missing = tuple(sorted(info["missing_keys"]))

    def under_zero3(self) -> AbstractContextManager[None]:
        """Makes transformers load and save under ZeRO-3."""
        return compat.zero3_config(self.config)

    def poisoned(self) -> AbstractContextManager[None]:
        """Fills memory that torch hands out."""
        return poisoned_memory()

    def timed(self) -> AbstractContextManager[None]:
        """Counts the time as spent loading and saving."""
        return self.watch.running()

    def fill(self, values: Mapping[str, Tensor]) -> None:
        """Gives the model known values."""
        shards.fill(self.model, values)

    def save(self, folder: Path, **options: Any) -> None:
        """Saves the model, with what a published checkpoint has besides."""
        save(self.model, folder, **options)

    def destroy(self, engine: Any) -> None:
        """Frees what a DeepSpeed engine holds."""
        compat.destroy(engine)

    def judge_shards(self) -> dict[str, list[Flaw]]:
        """Returns what is wrong with the model, put together from all ranks."""
        actual = {**named_tensors(self.model), **shards.gather_parameters(self.model)}
        return find_flaws(actual, self._reference, {**self._reference.expected, **self._reference.nonpersistent})

    def judge(self, model: Model) -> dict[str, list[Flaw]]:
        """Returns what is wrong with the persistent tensors of `model`."""
        return find_flaws(named_tensors(model), self._reference, self._reference.expected)

    def close(self) -> None:
        """Frees the model: its parameters, hooks and engine refer to each other.

        What survives is frozen, because deepspeed.initialize collects garbage over all objects there are, each time.
        """
        # What is freed comes back with its old values: the next model's right values would be in it already.
        if self._loaded is not None:
            shards.poison(self._loaded)
        self._loaded = None
        gc.collect()
        gc.freeze()

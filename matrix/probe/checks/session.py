"""One architecture on one rank: loaded once under ZeRO-3, then given to each check of `matrix.checks`."""

import gc
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

from torch import Tensor

from matrix.check_protocol import CheckResult, Flaw, LoadingReport
from matrix.checks import CHECKS
from matrix.job import Task
from matrix.model import Architecture, Check
from matrix.probe import compat, loading_report
from matrix.probe.checkpoint.fixture import (
    Model,
    find_flaws,
    find_loss,
    fixture_folder,
    judge_all,
    keep_flaws,
    load_reference,
    named_tensors,
    read_checkpoint,
    save,
)
from matrix.probe.checkpoint.judge import Reference
from matrix.probe.checks import shards
from matrix.probe.checks.control import control_is_needed, find_rounded_at_stage_0
from matrix.probe.checks.loaders import use_loader
from matrix.probe.checks.seen import Seen, count_tensors
from matrix.probe.stopwatch import Stopwatch
from matrix.probe.tiny import recipes
from matrix.probe.uninitialized import poisoned_memory

_load_reference = lru_cache(maxsize=1)(load_reference)
"""Read once for both loaders of a precision, which follow each other. Nobody writes into it: what a model is given are copies."""


class Session:
    """What a check gets of the probe, as `matrix.check_protocol.CheckSession` documents it.

    `root` holds the fixtures. Every rank of the group runs the same methods in the same order.
    """

    def __init__(self, task: Task, architecture: Architecture, root: Path) -> None:
        self.task = task
        self.model_class = recipes.find_class(architecture)
        self.root, self.path = root, fixture_folder(root, architecture.id)
        # Other tasks of the same architecture write too.
        self.folder = self.path / f"saved.{task.loader}.{task.precision}.{task.configuration}"
        self.report: LoadingReport | None = None
        self._notes: dict[str, str] = {}
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
        return _load_reference(self.root, *self.task.fixture)

    @property
    def partitioned(self) -> bool:
        """Whether ZeRO-3 sharded every parameter."""
        return shards.are_partitioned(self.model.parameters())

    def run(self, check: Check) -> Seen:
        """Does `check` and returns what this rank saw. Raises whatever upstream raises."""
        started, loading = time.perf_counter(), self.watch.seconds
        self._notes = {}
        # Looked at before the check, which may change the model: an engine takes the parameters over.
        partitioned = self.partitioned
        result = self._check(check)
        seconds = time.perf_counter() - started
        spent = self.watch.seconds - loading
        control = self._control if control_is_needed(result.flaws) else None
        return Seen(
            result.flaws,
            result.report,
            {**result.notes, **self._notes},
            control,
            partitioned,
            count_tensors([self._reference]),
            seconds,
            spent,
            result.named,
        )

    def _check(self, check: Check) -> CheckResult:
        run = CHECKS[check].run
        if run is None:
            raise ValueError(f"{check} does nothing with a model that it shares")
        return run(self)

    @cached_property
    def _control(self) -> tuple[str, ...] | None:
        """The tensors that are rounded without ZeRO-3 too."""
        load = partial(self._load_plainly, self.path / "checkpoint")
        judge = partial(find_flaws, reference=self._reference, names=self._reference.tensors)
        return find_rounded_at_stage_0(load, self.task.precision, judge)

    def _load(self) -> None:
        with self.poisoned(), self.timed(), loading_report.listening() as heard:
            checkpoint = self.path / "checkpoint"
            self._loaded = compat.load_pretrained(self.model_class, checkpoint, self.task.requested)
        self.report = heard.report

    @contextmanager
    def under_zero3(self) -> Iterator[None]:
        """Makes transformers load and save under ZeRO-3, with the task's loader: it stays in place for `initialize`."""
        with use_loader(self.task.loader), compat.zero3_config(compat.make_config(self.task.precision)):
            yield

    def poisoned(self) -> AbstractContextManager[None]:
        """Fills memory that torch hands out."""
        return poisoned_memory()

    def timed(self) -> AbstractContextManager[None]:
        """Counts the time as spent loading and saving."""
        return self.watch.running()

    def restore(self) -> None:
        """Gives the model the right values."""
        shards.fill(self.model, self._reference.tensors)

    @contextmanager
    def initialize(self) -> Iterator[Any]:
        """Makes an engine of the model, and frees what it holds afterwards."""
        engine = compat.initialize(self.model, self.task.precision)
        try:
            yield engine
        finally:
            compat.destroy(engine)

    def save(self, folder: Path, **options: Any) -> None:
        """Saves the model, with what a published checkpoint has besides."""
        save(self.model, folder, **options)

    def judge_shards(self) -> dict[str, list[Flaw]]:
        """Returns what is wrong with the model, put together from all ranks."""
        whole = {**named_tensors(self.model), **shards.gather_parameters(self.model)}
        return self._judge(whole, self._reference.tensors)

    def judge_state(self, state: Mapping[str, Tensor]) -> dict[str, list[Flaw]]:
        """Returns what is wrong with the tensors in a state dict."""
        return self._judge(state, [name for name in self._reference.expected if name in state])

    def judge_saved(self, folder: Path) -> tuple[dict[str, list[Flaw]], tuple[str, ...]]:
        """Returns what is wrong with the persistent tensors of a plain load, and what that names as missing."""
        with loading_report.listening() as heard:
            loaded = self._load_plainly(folder)
        missing = heard.report.missing_keys if heard.report else ()
        return self._judge(named_tensors(loaded), self._reference.expected), missing

    def count_lost(self, folder: Path) -> tuple[Mapping[str, int], int]:
        """Returns how many tensors of the checkpoint are lost in another one, by how, and how many it has."""
        right, saved = read_checkpoint(self.path / "checkpoint"), read_checkpoint(folder)
        return Counter(filter(None, (find_loss(value, saved.get(name)) for name, value in right.items()))), len(right)

    def _load_plainly(self, folder: Path) -> Model:
        with self.poisoned(), self.timed():
            return compat.load_pretrained(self.model_class, folder, self.task.requested)

    def _judge(self, actual: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, list[Flaw]]:
        judged = judge_all(actual, self._reference, names)
        self._notes.update({name: found.note for name, found in judged.items() if found.note})
        return keep_flaws(judged)

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

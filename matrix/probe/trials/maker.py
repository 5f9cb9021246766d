"""Makes the models of a check, in one process or on a rank: the same calls in both."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from matrix.check_protocol import LoadingReport, NotApplicableError, Trial, Way
from matrix.model import Precision
from matrix.probe import compat
from matrix.probe.checkpoint.fixture import Model, named_tensors
from matrix.probe.loading_report import listening
from matrix.probe.stopwatch import Stopwatch
from matrix.probe.tiny import classes
from matrix.probe.trials.batches import load_batch
from matrix.probe.trials.training import Trained, train
from matrix.probe.uninitialized import poisoned_memory

SEED = 45402
"""Given to every rank, as training scripts do, and to the process that makes the same without ZeRO-3."""


def find_class(model_class: type[Any], name: str) -> Any:
    """Returns the class called `name`: of the module of the model's own class, else of transformers.

    Raises NotApplicableError where neither has it.
    """
    if not name:
        return model_class
    found = getattr(sys.modules[model_class.__module__], name, None)
    found = classes.find(name) if found is None else found
    if found is None or hasattr(found, "_backends"):
        raise NotApplicableError(f"there is no class {name} here")
    return found


@dataclass(frozen=True)
class Made:
    """The model of one way, what the loader said of it, and what a step of training gave."""

    model: Model
    report: LoadingReport | None
    trained: Trained = field(default_factory=Trained)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What it holds, and what it put out."""
        return {**named_tensors(self.model), **self.trained.outputs}


@dataclass(frozen=True)
class ModelMaker:
    """What a check's `make` gets, as `matrix.check_protocol.Maker` documents it. `path` is the folder of the architecture.

    A model is loaded in the dtype `requested`, and trained in `precision`.
    """

    model_class: type[Any]
    path: Path
    requested: Precision
    watch: Stopwatch
    precision: Precision

    def load(self, way: Way) -> Model:
        """Returns what `from_pretrained` gives."""
        cls = find_class(self.model_class, way.class_name)
        return compat.load_pretrained(cls, self.path / way.folder, self.requested, **way.options)

    def build(self, way: Way) -> Model:
        """Returns a new model with the configuration of the checkpoint."""
        return compat.build_from_config(
            find_class(self.model_class, way.class_name), self.path / way.folder, self.requested
        )

    def make(self, trial: Trial, way: Way, seed: int = SEED) -> Made:
        """Returns the model of `way`. Raises what upstream raises."""
        if trial.trains and self.precision is not Precision.FLOAT32:
            raise NotApplicableError("it is made in float32 only, since sums in fewer bits depend on their order")
        torch.manual_seed(seed)
        with poisoned_memory(), self.watch.running(), listening() as heard:
            model = trial.make(self, way)
        if not trial.trains:
            return Made(model, heard.report)
        return Made(model, heard.report, train(model, load_batch(self.path / way.folder), shaken=seed != SEED))

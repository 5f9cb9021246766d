"""What the host asks of the probe.

Imported by both, as `matrix.model` is: standard library only, Python 3.10 or newer.

PURE: no input or output.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matrix.model import Architecture, CaseKey, Check, Configuration, Device, Loader, Precision, Source


@dataclass(frozen=True)
class Task:
    """What one rank group does with one architecture in one go: load it with `loader`, then each of `checks`."""

    architecture: str
    loader: Loader
    checks: tuple[Check, ...]
    precision: Precision = Precision.FLOAT32
    configuration: Configuration = Configuration.PLAIN

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Task":
        """Returns the task that `dataclasses.asdict` gave as `values`."""
        checks = tuple(Check(check) for check in values["checks"])
        place = Precision(values["precision"]), Configuration(values["configuration"])
        return cls(values["architecture"], Loader(values["loader"]), checks, *place)

    @property
    def keys(self) -> tuple[CaseKey, ...]:
        """The cases this task decides."""
        place = self.precision, self.configuration
        return tuple(CaseKey(self.architecture, self.loader, check, *place) for check in self.checks)

    @property
    def fixture(self) -> tuple[str, Precision]:
        """The architecture, and the dtype that it is loaded in: what a plain load is made of once."""
        return self.architecture, self.requested

    @property
    def requested(self) -> Precision:
        """The dtype that `from_pretrained` is asked for."""
        return self.configuration.requested(self.precision)


@dataclass(frozen=True)
class Job:
    """What the host asks of the probe: the tasks, or all cases of one `target`."""

    architectures: tuple[Architecture, ...]
    tasks: tuple[Task, ...]
    device: Device
    world_size: int = 2
    timeout: float = 120.0
    """Seconds for each task."""
    confirmations: int = 2
    """Reruns of a failing case, of which some need fewer (`Case.believed`)."""
    target: Source | None = None
    """A user's model, which only the probe can identify; then there are no architectures and tasks."""
    precisions: tuple[Precision, ...] = (Precision.FLOAT32,)
    """What a `target` is measured in."""
    checks: tuple[Check, ...] = ()
    """What is done with a `target`."""

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """Returns the job that `dataclasses.asdict` and `json.dumps` wrote as `text`."""
        values = json.loads(text)
        values["architectures"] = tuple(Architecture.from_dict(entry) for entry in values["architectures"])
        values["tasks"] = tuple(Task.from_dict(entry) for entry in values["tasks"])
        values["target"] = Source.from_dict(values["target"])
        precisions = tuple(Precision(precision) for precision in values["precisions"])
        checks = tuple(Check(check) for check in values["checks"])
        return cls(**{**values, "device": Device(values["device"]), "precisions": precisions, "checks": checks})

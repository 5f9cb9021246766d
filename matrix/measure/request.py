"""A request to measure a cell, and the progress that it reports."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from matrix.catalog.catalog import catalog_hash
from matrix.checks import DEFAULT, Axes
from matrix.environments.spec import Environment
from matrix.job import Task
from matrix.measure.probe_process import OURS, Setup
from matrix.model import Case, Source
from matrix.process.messages import Resolved


class Progress(Protocol):
    """Reports how the measuring goes."""

    def begin(self, environment: str, cases: int) -> None:
        """Reports that a cell begins, with so many cases to decide."""

    def step(self, words: str) -> None:
        """Reports that something is being prepared."""

    def case(self, case: Case) -> None:
        """Reports that a case was decided, or confirmed."""


@dataclass
class Target:
    """A user's model."""

    source: Source
    axes: Axes = DEFAULT
    resolved: Resolved | None = None
    """What the probe found the model to be; None until it has looked."""


@dataclass(frozen=True)
class Request:
    """A cell to measure: where, what, and how."""

    out: Path
    tasks: tuple[Task, ...]
    environment: Environment | None = None
    """What to install and measure; None to measure `interpreter`."""
    interpreter: Path | None = None
    venv: Path | None = None
    """Where `environment` is installed; None for the default place."""
    device: str = "auto"
    world_size: int = 2
    timeout: float = 120.0
    confirmations: int = 2
    resume: bool = False
    again: bool = False
    catalog: str = field(default_factory=catalog_hash)
    logs: Path | None = None
    """The folder of logs; None for `out`."""
    setup: Setup = OURS
    target: Target | None = None
    """A user's model, all cases of which are measured instead of `tasks`."""

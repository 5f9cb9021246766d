"""A request to measure a cell, and the progress that it reports."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from matrix.catalog.catalog import catalog_hash
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
    """A user's model. `resolved` is what the probe found it to be, None until it has looked."""

    source: Source
    resolved: Resolved | None = None


@dataclass(frozen=True)
class Request:
    """A cell to measure: where, what, and how.

    `interpreter` counts without an `environment`, `logs` is `out` without. With a `target` all its cases are measured
    instead of `tasks`.
    """

    out: Path
    tasks: tuple[Task, ...]
    environment: Environment | None = None
    interpreter: Path | None = None
    venv: Path | None = None
    device: str = "auto"
    world_size: int = 2
    timeout: float = 120.0
    confirmations: int = 2
    resume: bool = False
    again: bool = False
    catalog: str = field(default_factory=catalog_hash)
    logs: Path | None = None
    setup: Setup = OURS
    target: Target | None = None

"""Prepares what a cell is measured with: installs the environment, or asks an interpreter for its versions."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matrix.environments.install import install
from matrix.environments.interpreter import describe
from matrix.environments.packages import REQUIRED
from matrix.environments.pins import build_id
from matrix.environments.source_builds import install_confined
from matrix.environments.spec import Environment
from matrix.measure.request import Progress, Request
from matrix.model import Device


@dataclass(frozen=True)
class Prepared:
    """What a cell is measured with.

    `versions` are the interpreter's, by package, and `name` is the id of its environment without the device.
    """

    interpreter: Path
    name: str
    versions: Mapping[str, str]
    device: Device

    @property
    def id(self) -> str:
        """The id of the cell."""
        return f"{self.name}+{self.device}"


def prepare(request: Request, device: Device, progress: Progress) -> Prepared:
    """Prepares the interpreter of `request`, installing its environment if it has one; raises EnvironmentFailedError."""
    environment = request.environment
    if environment is None:
        interpreter = request.interpreter or Path(sys.executable)
    else:
        progress.step("installing " + ", ".join(environment.requirements))
        interpreter = _install(environment, request)
    versions = describe(interpreter, request.setup.sandbox)
    if environment is None:
        name = build_id({package: versions[package].partition("+")[0] for package in REQUIRED})
        return Prepared(interpreter, name, versions, device)
    return Prepared(interpreter, environment.id, {**environment.pins, **versions}, device)


def _install(environment: Environment, request: Request) -> Path:
    venv = request.venv or Path(".zero3/venvs") / environment.id
    sandbox = request.setup.sandbox
    return install_confined(environment, venv, sandbox) if sandbox else install(environment, venv)

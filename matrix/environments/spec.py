"""An environment: the pins that are measured together. Standard library only.

The noxfile imports this, in nox's own interpreter, where nothing of the project is installed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from matrix.environments.packages import CROSSED, INSTALLABLE, INSTALLED, OPTIONAL, PINNED, RECORDED
from matrix.environments.pins import build_id, build_need, build_requirement, find_commit, is_version, parse_needs
from matrix.model import Device, EnvironmentInfo


@dataclass(frozen=True)
class Environment:
    """Pins to measure. A pin is a version, a `git+https://...@commit` address or a source folder.

    `python` is a version specifier for the interpreter, empty when any will do; `needs` are further requirements.
    `name` is for an environment whose pins move, such as those at the tip of a branch: its measurements of different
    days are one history.
    """

    transformers: str
    deepspeed: str
    torch: str
    accelerate: str = ""
    python: str = ""
    needs: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    name: str = ""

    @property
    def id(self) -> str:
        """The stable name, without the device that a cell's id ends with."""
        return self.name or build_id(self.pins)

    @property
    def pins(self) -> dict[str, str]:
        """The pin of each package that has one, in the order of packages.toml; those of optional ones are among `needs`."""
        needed = parse_needs(self.needs)
        pins = {name: vars(self).get(name) or needed.get(name, "") for name in INSTALLABLE}
        return {name: pin for name, pin in pins.items() if pin}

    @property
    def commits(self) -> dict[str, str]:
        """The packages that are pinned to a commit, with its 40 digits."""
        return {name: commit for name, pin in self.pins.items() if (commit := find_commit(pin))}

    @property
    def requirements(self) -> tuple[str, ...]:
        """The requirements for the installer."""
        pins = {name: vars(self)[name] for name in (*PINNED, *CROSSED, *INSTALLED)}
        wanted = (name for name, pin in pins.items() if pin or name in INSTALLED)
        return (*(build_requirement(name, pins[name]) for name in wanted), *self.needs)

    @property
    def released(self) -> "Environment":
        """The environment without pins of commits and folders: what installs without building a pull request's code."""
        pins: dict[str, Any] = {name: pin if is_version(pin := vars(self)[name]) else "" for name in RECORDED}
        return replace(self, needs=tuple(need for need in self.needs if "/" not in need), **pins)


def replace_pins(environment: Environment, pins: Mapping[str, str]) -> Environment:
    """Returns `environment` with `pins`, which are by package, instead of its own."""
    own: dict[str, Any] = {name: pins[name] for name in RECORDED if name in pins}
    needs = (build_need(name, pins[name]) for name in OPTIONAL if name in pins)
    return replace(environment, needs=(*environment.needs, *needs), **own)


def plan_info(name: str, versions: Mapping[str, str], device: Device, world_size: int) -> EnvironmentInfo:
    """Returns what is known of an environment before it is measured.

    `name` is its id without the device, `versions` its pins or what its interpreter has, by package, and of python.
    """
    recorded: dict[str, Any] = {package: versions.get(package, "") for package in RECORDED}
    return EnvironmentInfo(
        id=f"{name}+{device}",
        python=versions.get("python", ""),
        **recorded,
        device=device,
        backend=device.backend,
        world_size=world_size,
        hardware="",
        packages={package: versions[package] for package in OPTIONAL if package in versions},
    )

"""Reads packages.toml: the packages that an environment may pin. Standard library only.

The noxfile imports this, in nox's own interpreter, where nothing of the project is installed.

Two places name packages themselves. A record has a field for each of RECORDED, which is schema 1. The probe has its own
list of upstream packages (`matrix/probe/exceptions.py`): it reads no TOML on Python 3.10, and cannot get the names with
its job, since a checkout that is older refuses a job with a key that it does not know.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import tomllib

from matrix.errors import DataFileError
from matrix.model import EnvironmentInfo

PATH: Final = Path(__file__).with_name("packages.toml")
_COMMIT: Final = re.compile(r"(?:\+git\.|@)([0-9a-f]{40})(?:#.*)?")


class PackageRole(StrEnum):
    """What a package is to an environment; packages.toml explains each."""

    CROSSED = "crossed"
    PINNED = "pinned"
    INSTALLED = "installed"
    OPTIONAL = "optional"
    PROJECT = "project"


@dataclass(frozen=True)
class Package:
    """One table of packages.toml, which explains the fields."""

    name: str
    role: PackageRole = PackageRole.OPTIONAL
    repository: str = ""
    aliases: tuple[str, ...] = ()
    subdirectory: str = ""
    tip: bool = False
    partner: str = "transformers"

    @property
    def variable(self) -> str:
        """The environment variable that pins it."""
        return f"ZERO3_{self.name.upper().replace('-', '_')}"

    @property
    def repository_names(self) -> tuple[str, ...]:
        """What its repository and forks of it are called, without an owner and in lower case."""
        return tuple(name.rpartition("/")[2].lower() for name in (self.repository, *self.aliases) if name)

    def at(self, commit: str) -> str:
        """Returns the pin of a commit of its own repository."""
        return self.located(f"git+https://github.com/{self.repository}@{commit}")

    def located(self, pin: str) -> str:
        """Returns `pin` with the folder of the Python package, where it is an address without one."""
        address = "://" in pin and "#" not in pin
        return f"{pin}#subdirectory={self.subdirectory}" if address and self.subdirectory else pin


def load_packages(path: Path = PATH) -> dict[str, Package]:
    """Returns the packages of `path` by name, in the order of the file; raises DataFileError."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: _package(name, values) for name, values in data.items()}
    except (TypeError, ValueError) as error:
        raise DataFileError(path, [str(error)]) from error


def _package(name: str, values: Mapping[str, Any]) -> Package:
    role, aliases = PackageRole(values.get("role", PackageRole.OPTIONAL)), tuple(values.get("aliases", ()))
    return Package(name, **{**values, "role": role, "aliases": aliases})


def _having(role: PackageRole) -> tuple[str, ...]:
    return tuple(name for name, package in PACKAGES.items() if package.role is role)


PACKAGES: Final[Mapping[str, Package]] = load_packages()
CROSSED: Final = _having(PackageRole.CROSSED)
PINNED: Final = _having(PackageRole.PINNED)
INSTALLED: Final = _having(PackageRole.INSTALLED)
OPTIONAL: Final = _having(PackageRole.OPTIONAL)
REQUIRED: Final = (*CROSSED, *PINNED)
"""The packages that every environment names."""
UNCROSSED: Final = (*PINNED, *INSTALLED)
RECORDED: Final = (*CROSSED, *UNCROSSED)
"""The packages with a field of their own in an environment and in records; others are in `packages` of a record."""
INSTALLABLE: Final = (*RECORDED, *OPTIONAL)
TIPS: Final = tuple(name for name, package in PACKAGES.items() if package.tip)
(PROJECT,) = _having(PackageRole.PROJECT)
"""This project: a revision that pins it is measured by the probe of that commit."""


def installed(info: EnvironmentInfo, package: str) -> str:
    """Returns the version of a package without its build, or the commit that it was pinned to.

    Of an attempt that failed that is the pin. Empty where the record does not say.
    """
    listed = info.packages.get(package, "")
    version = str(vars(info).get(package, listed))
    commit = _COMMIT.search(listed) or _COMMIT.search(version)
    return commit[1] if commit else version.partition("+")[0]

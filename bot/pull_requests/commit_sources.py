"""Turns commits of pull requests into pins that can be installed, and nothing else into one.

PURE: no input or output.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from bot.github.types import Revision
from matrix.environments.packages import PACKAGES, PROJECT
from matrix.errors import USAGE, MatrixError, UnknownNameError

_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_.-]+")
_SHA: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class CommitSources:
    """Where commits are cloned from, and which package a repository holds, by its name without the owner.

    Names are in lower case; forks and former owners share them.
    """

    address: str = "https://github.com/"
    packages: Mapping[str, str] = field(
        default_factory=lambda: {
            known: name for name, package in PACKAGES.items() for known in package.repository_names
        }
    )


GITHUB: Final = CommitSources()


class RevisionError(MatrixError):
    """A revision is not a commit of a repository, so nothing is installed from it."""

    exit_code: ClassVar[int] = USAGE

    def __init__(self, revision: Revision) -> None:
        super().__init__(
            f"{revision.repository!r} at {revision.sha!r} is not a commit: "
            "name the repository as owner/name and the commit with all its 40 hexadecimal digits"
        )


def find_package(repository: str, sources: CommitSources) -> str:
    """Returns the package that `repository` holds; raises UnknownNameError."""
    name = repository.rpartition("/")[2].lower()
    if name not in sources.packages:
        raise UnknownNameError("repository", [repository], sorted(sources.packages))
    return sources.packages[name]


def is_project(repository: str, sources: CommitSources) -> bool:
    """Tests whether `repository` holds this project."""
    return sources.packages.get(repository.rpartition("/")[2].lower()) == PROJECT


def pin_commit(revision: Revision, package: str, address: str) -> str:
    """Returns the pin of a commit; anything else in a name would reach the installer. Raises RevisionError."""
    if not (_REPOSITORY.fullmatch(revision.repository) and _SHA.fullmatch(revision.sha)):
        raise RevisionError(revision)
    return PACKAGES[package].located(f"git+{address}{revision.repository}@{revision.sha}")

"""From selectors to the tasks of a cell. Pure: names in, tasks out.

PURE: no input or output.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from fnmatch import fnmatchcase
from typing import TypeVar

from matrix.errors import UnknownNameError
from matrix.job import Task
from matrix.model import Architecture, CaseKey, Check, Loader

_Choice = TypeVar("_Choice", bound=Enum)


def select(catalog: Sequence[Architecture], globs: Sequence[str]) -> tuple[Architecture, ...]:
    """The architectures whose id, model type or class name matches one of `globs`; all of them without any.

    Raises UnknownNameError with close matches for every glob that matches nothing.
    """

    def matches(architecture: Architecture, glob: str) -> bool:
        names = (architecture.id, architecture.model_type, architecture.class_name)
        return any(fnmatchcase(name.lower(), glob.lower()) for name in names)

    unmatched = [glob for glob in globs if not any(matches(architecture, glob) for architecture in catalog)]
    if unmatched:
        raise UnknownNameError("architecture", unmatched, [architecture.id for architecture in catalog])
    return tuple(a for a in catalog if not globs or any(matches(a, glob) for glob in globs))


def choices(what: str, kind: type[_Choice], text: str) -> tuple[_Choice, ...]:
    """The members of an enum that a comma-separated `text` names, each once; raises UnknownNameError for all others."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = [str(member.value) for member in kind]
    if unknown := [name for name in names if name not in known] or ([] if names else [text]):
        raise UnknownNameError(what, unknown, known)
    return tuple(dict.fromkeys(kind(name) for name in names))


def plan(architectures: Iterable[Architecture], loaders: Sequence[Loader], checks: Sequence[Check]) -> tuple[Task, ...]:
    """Every architecture with every loader, both checks in one go: they look at the same loaded model."""
    return tuple(Task(architecture.id, loader, tuple(checks)) for architecture in architectures for loader in loaders)


def remaining(tasks: Iterable[Task], done: Iterable[CaseKey]) -> tuple[Task, ...]:
    """`tasks` without the cases that are `done`."""
    finished = set(done)
    left = [
        Task(task.architecture, task.loader, tuple(key.check for key in task.keys if key not in finished))
        for task in tasks
    ]
    return tuple(task for task in left if task.checks)

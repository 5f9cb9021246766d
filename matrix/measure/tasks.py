"""Makes the tasks of a cell from what was asked for.

PURE: no input or output.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, TypeVar

from matrix.checks import DEFAULT, Axes, group_checks
from matrix.errors import UnknownNameError
from matrix.job import Task
from matrix.model import Architecture, CaseKey

UNKNOWN_CHECK: Final = "UnknownCheckError"
"""The type of the error of a case whose check the measuring commit of this project does not have."""

_Choice = TypeVar("_Choice", bound=str)


def parse_choices(what: str, known: Iterable[_Choice], text: str) -> tuple[_Choice, ...]:
    """Returns those of `known` that a comma-separated `text` names, each once; raises UnknownNameError for any other."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    by_name = {str(choice): choice for choice in known}
    if unknown := [name for name in names if name not in by_name] or ([] if names else [text]):
        raise UnknownNameError(what, unknown, list(by_name))
    return tuple(dict.fromkeys(by_name[name] for name in names))


def plan_tasks(architectures: Iterable[Architecture], axes: Axes = DEFAULT) -> tuple[Task, ...]:
    """Returns the tasks of every architecture. Checks that look at the same loaded model are in one task."""
    return tuple(
        Task(architecture.id, loader, checks, *training)
        for architecture in architectures
        for training in axes.trainings
        for loader in axes.loaders
        for checks in group_checks(axes.checks)
    )


def filter_remaining(tasks: Iterable[Task], done: Iterable[CaseKey]) -> tuple[Task, ...]:
    """Returns `tasks` without the cases that are `done`."""
    finished = set(done)
    left = [replace(task, checks=tuple(key.check for key in task.keys if key not in finished)) for task in tasks]
    return tuple(task for task in left if task.checks)

"""Decides which cases one measurement serves for both loaders: where the fixed loader is the stock one, nothing else is run."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from matrix.job import Task
from matrix.model import Case, CaseKey, Loader, Precision
from matrix.probe.ranks.ipc import Channel, fork


def _ask(channel: Channel) -> None:
    from matrix.probe import zero3_buffers

    channel.send({"unchanged": [] if zero3_buffers.changes_float32() else [Precision.FLOAT32]})


def find_unchanged() -> frozenset[Precision]:
    """Returns the precisions in which the fixed loader changes nothing. A forked process looks: looking imports transformers."""
    child = fork(_ask)
    answers = list(child.channel)
    os.waitpid(child.pid, 0)
    # There is no answer where it does not support the release: then each loader says so for itself.
    return frozenset(Precision(name) for answer in answers for name in answer["unchanged"])


def share_loaders(tasks: Sequence[Task]) -> tuple[list[Task], frozenset[CaseKey]]:
    """Returns the tasks to run, and the cases of the fixed loader that those of the stock loader decide.

    A task of the fixed loader is not run where the stock loader has the same one and is the same code.
    """
    asked = {*tasks}
    twins = {task for task in tasks if task.loader is Loader.FIXED and replace(task, loader=Loader.STOCK) in asked}
    unchanged = find_unchanged() if twins else frozenset[Precision]()
    spared = {task for task in twins if task.precision in unchanged}
    return [task for task in tasks if task not in spared], frozenset(key for task in spared for key in task.keys)


def add_shared(cases: Iterable[Case], shared: frozenset[CaseKey]) -> list[Case]:
    """Returns the cases, and after each of the stock loader the same for the fixed one where it is `shared`."""
    found = []
    for case in cases:
        found.append(case)
        # It took no time of its own.
        copy = replace(case, loader=Loader.FIXED, measured_with=Loader.STOCK, seconds=0.0, load_seconds=0.0)
        if case.loader is Loader.STOCK and copy.key in shared:
            found.append(copy)
    return found

"""Measures the user's own model: every case of one target, in the user's interpreter."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

from matrix.advice.advice import Age, Ask, advise
from matrix.advice.sources import open_source
from matrix.check_protocol import is_inapplicable
from matrix.checks import DEFAULT, Axes
from matrix.errors import EnvironmentFailedError, MatrixError, ProbeDiedError, RejectedTargetError
from matrix.measure.cell import measure
from matrix.measure.request import Progress, Request, Target
from matrix.model import Cell, Failure, Source
from matrix.process.messages import Resolved
from matrix.process.temporary import keep, temporary_folder
from matrix.verdicts import Verdict


def compute_identity(source: Source) -> str:
    """Returns a digest of `source`, which records of a target have instead of the catalog's.

    So no other target is ever taken for the same measurement.
    """
    return f"sha256:{hashlib.sha256(json.dumps(asdict(source)).encode()).hexdigest()}"


@contextmanager
def open_folder(out: Path | None) -> Iterator[Path]:
    """Yields the folder for records and the log: `out`, or one that is deleted afterwards, unless a message names its log."""
    if out:
        yield out
        return
    with temporary_folder("check") as folder:
        try:
            yield folder
        except ProbeDiedError:
            keep(folder)
            raise


def find_safe_pairs(cell: Cell, source: str, today: date) -> list[str]:
    """Returns the ids of environments that are safe for each architecture and precision of `cell`, as of `today`, the nearest first.

    `source` is what `matrix.advice.sources` reads; where it cannot be read, there are none.
    """
    info = cell.environment
    asked = {(case.architecture.partition("@")[0], case.precision) for case in cell.cases}
    try:
        known = open_source(source)
        age = Age(known.night, today)
        safe = [
            [one.environment for one in advise(name, known.tried(name), ask, age).safe]
            for name, precision in sorted(asked)
            for ask in [Ask(info.transformers, info.deepspeed, info.device, precision=precision)]
        ]
    except MatrixError:
        return []
    # What was just measured may be safe in load and save alone, and not in what else was measured here.
    here = f"transformers-{info.transformers}+deepspeed-{info.deepspeed}+"
    right = [pair for pair in next(iter(safe), []) if not pair.startswith(here)]
    return [pair for pair in right if all(pair in others for others in safe)]


def _is_of_a_case(error: Failure) -> bool:
    """Returns whether not the model is unsupported, but a precision that cannot be trained in, or a check that does not apply."""
    return error.type == "UnsupportedPrecisionError" or is_inapplicable(error)


def measure_own_model(
    source: Source | None, request: Request, progress: Progress, axes: Axes = DEFAULT
) -> tuple[Cell, Resolved]:
    """Measures `source` along `axes`, or the tasks of `request`; returns the cell on disk, and what was measured.

    Raises RejectedTargetError when there is no such model in the interpreter, EnvironmentFailedError when the packages
    cannot be imported or no ranks be started, and what else `matrix.measure.cell.measure` raises.
    """
    target = Target(source, axes) if source else None
    if source:
        request = replace(request, target=target, catalog=compute_identity(source))
    cell = measure(request, progress)
    if cell.error:
        raise EnvironmentFailedError(cell.environment.id, f"{cell.error.type}: {cell.error.message}")
    for case in cell.cases:
        if case.verdict is Verdict.UNSUPPORTED and not (case.error and _is_of_a_case(case.error)):
            raise RejectedTargetError(case.architecture, case.error.message if case.error else "there is no such class")
    names = dict.fromkeys(task.architecture for task in request.tasks)
    return cell, (target.resolved if target else None) or Resolved(", ".join(names))

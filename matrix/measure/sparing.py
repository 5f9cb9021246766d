"""Measures a cell with fewer loads: the fixed loader only where there is something to mend."""

from dataclasses import replace

from matrix.job import Task
from matrix.measure.cell import measure
from matrix.measure.request import Progress, Request
from matrix.measure.tasks import filter_remaining
from matrix.model import CaseKey, Cell, Loader, Precision


def measure_sparingly(request: Request, progress: Progress) -> Cell:
    """Measures as `measure` does, the fixed loader in bf16 and fp16 only where the stock one loads or saves wrong values.

    Not where that one raises: the fixed loader would too. In float32 it is often the stock one, which costs nothing.
    """
    deferred = tuple(task for task in request.tasks if _is_deferred(task))
    cell = measure(replace(request, tasks=tuple(task for task in request.tasks if not _is_deferred(task))), progress)
    wrong = {case.key for case in cell.cases if case.may_be_mended}
    spared = [key for task in deferred for key in task.keys if _of_stock(key) not in wrong]
    left = filter_remaining(deferred, spared)
    return measure(replace(request, tasks=left, resume=True), progress) if left and not cell.error else cell


def _is_deferred(task: Task) -> bool:
    return task.loader is Loader.FIXED and task.precision is not Precision.FLOAT32


def _of_stock(key: CaseKey) -> CaseKey:
    return key._replace(loader=Loader.STOCK)

"""Work spread over the processors that this process may use."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")


@contextmanager
def spread(work: Callable[[_In], _Out], items: Sequence[_In]) -> Iterator[Iterable[_Out]]:
    """What `work` gives for each of `items`, in their order: each is done by one of several processes, a single one here."""
    workers = min(len(os.sched_getaffinity(0)), len(items))
    with ProcessPoolExecutor(workers) if workers > 1 else nullcontext() as pool:
        yield pool.map(work, items) if isinstance(pool, Executor) else map(work, items)

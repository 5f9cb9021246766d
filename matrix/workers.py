"""Work spread over the processors that this process may use."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")


@contextmanager
def spread(work: Callable[[_In], _Out], items: Sequence[_In]) -> Iterator[Iterable[_Out]]:
    """What `work` gives for each of `items`, in their order: each is done by one of several processes, a single one here.

    After an error no more is begun.
    """
    workers = min(len(os.sched_getaffinity(0)), len(items))
    if workers <= 1:
        yield map(work, items)
        return
    with ProcessPoolExecutor(workers) as pool:
        try:
            yield pool.map(work, items)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise

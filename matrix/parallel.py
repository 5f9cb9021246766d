"""Work spread over the processors that this process may use."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_BEGUN: Final[list[Callable[[int], Any]]] = []
"""What this process does, if it is one of several, for the item at a place."""


@contextmanager
def spread(work: Callable[[_In], _Out], items: Sequence[_In]) -> Iterator[Iterable[_Out]]:
    """What `work` gives for each of `items`, in their order: each is done by one of several processes, a single one here.

    Where processes are forked the items cost nothing: all are there already, and each is told by its place. After an
    error no more is begun.
    """
    workers = min(len(os.sched_getaffinity(0)), len(items))
    if workers <= 1:
        yield map(work, items)
        return
    with ProcessPoolExecutor(workers, initializer=_begin, initargs=(work, items)) as pool:
        try:
            yield pool.map(_do, range(len(items)))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def beside(work: Callable[[], _Out]) -> Iterator[Callable[[], _Out]]:
    """Have another process do `work` meanwhile, where there are several processors; what is given returns its result."""
    if len(os.sched_getaffinity(0)) == 1:
        yield work
        return
    with ProcessPoolExecutor(1, initializer=_begin, initargs=(_done, [work])) as pool:
        yield pool.submit(_do, 0).result


def _done(work: Callable[[], _Out]) -> _Out:
    return work()


def _begin(work: Callable[[Any], Any], items: Sequence[Any]) -> None:
    _BEGUN.append(lambda place: work(items[place]))


def _do(place: int) -> Any:
    return _BEGUN[-1](place)

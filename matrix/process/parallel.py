"""Spreads work over the processors that this process may use."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_BEGUN: Final[list[Callable[[int], Any]]] = []
"""What this process does for the item at a place, if it is one of several."""


def count_processors() -> int:
    """Returns how many processors this process may use: at most so many work for it at once."""
    # Not os.cpu_count: with a cpuset or taskset that counts processors which this process may not use.
    return len(os.sched_getaffinity(0))


@contextmanager
def spread(work: Callable[[_In], _Out], items: Sequence[_In]) -> Iterator[Iterable[_Out]]:
    """Yields what `work` returns for each of `items`, in their order: several processes do the work, this one that of a single item.

    Where processes are forked they have the items already, so that only places are sent. After an error no more is begun.
    """
    workers = min(count_processors(), len(items))
    if workers <= 1:
        yield map(work, items)
        return
    with ProcessPoolExecutor(workers, initializer=_begin, initargs=(work, items)) as pool:
        try:
            yield pool.map(_do, range(len(items)))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _begin(work: Callable[[Any], Any], items: Sequence[Any]) -> None:
    _BEGUN.append(lambda place: work(items[place]))


def _do(place: int) -> Any:
    return _BEGUN[-1](place)

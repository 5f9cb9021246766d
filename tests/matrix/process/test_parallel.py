"""Work in several processes."""

import os

import pytest

from matrix.process.parallel import spread


def process_and_square(number: int) -> tuple[int, int]:
    return os.getpid(), number**2


def inverse(number: int) -> float:
    return 1 / number


def test_what_is_spread_comes_back_in_order_from_other_processes() -> None:
    with spread(process_and_square, range(20)) as found:
        processes, squares = zip(*found, strict=True)
    assert squares == tuple(number**2 for number in range(20))
    assert (os.getpid() in processes) == (len(os.sched_getaffinity(0)) == 1)


def test_a_single_thing_is_done_here() -> None:
    with spread(process_and_square, [3]) as found:
        assert list(found) == [(os.getpid(), 9)]


def test_an_error_in_another_process_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError), spread(inverse, [1, 0, 2]) as found:
        list(found)

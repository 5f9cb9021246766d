"""What is the machine's trouble and what a model's fault."""

import pytest

from matrix.measure.machine import find_trouble
from matrix.model import Failure
from matrix.verdicts import Verdict
from tests.support.runs import case

SPACE = "no space is left on the disk: free some, or name another folder in TMPDIR"


@pytest.mark.parametrize(
    ("type_", "message", "trouble"),
    [
        ("OSError", "[Errno 28] No space left on device", SPACE),
        ("SafetensorError", "Error while serializing: I/O error: No space left on device (os error 28)", SPACE),
        ("RuntimeError", "[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0", SPACE),
        ("OSError", "[Errno 24] Too many open files: 'x'", "too many files are open"),
        ("OSError", "[Errno 12] Cannot allocate memory", "memory is used up"),
        ("RuntimeError", "DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes.", "memory is used up"),
        ("RuntimeError", "DefaultCPUAllocator: can't allocate memory: you tried to allocate 4398046511104 bytes.", ""),
        ("OutOfMemoryError", "CUDA out of memory. Tried to allocate 20.00 MiB.", "memory is used up"),
        ("OutOfMemoryError", "CUDA out of memory. Tried to allocate 4096.00 GiB.", ""),
        ("RuntimeError", "size mismatch for weight", ""),
        ("RankDied", "the rank was ended by SIGABRT", ""),
    ],
)  # fmt: skip
def test_words_of_a_machine_in_trouble(type_: str, message: str, trouble: str) -> None:
    failed = case(verdict=Verdict.CRASH, error=Failure(type_, message))
    assert find_trouble(failed) == trouble


def test_a_rank_that_is_killed_again_and_again_is_no_crash_of_the_model() -> None:
    killed = Failure("RankKilled", "the rank was ended by SIGKILL", "", (0,))
    assert not find_trouble(case(verdict=Verdict.CRASH, error=killed, confirmed=(1, 1)))
    assert find_trouble(case(verdict=Verdict.CRASH, error=killed, confirmed=(2, 2)))
    segfault = Failure("RankKilled", "the rank was ended by SIGSEGV", "", (0,))
    assert not find_trouble(case(verdict=Verdict.CRASH, error=segfault, confirmed=(2, 2)))


def test_what_passed_is_in_no_trouble() -> None:
    assert not find_trouble(case())

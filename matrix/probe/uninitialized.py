"""Fills uninitialised memory, so that what nobody wrote is not taken for a right value."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def poisoned_memory() -> Iterator[None]:
    """Fills memory that torch hands out unwritten with NaN, or the largest number, for as long as the context lasts.

    What was freed comes back with its old values, which would look like a right load, or like what a constructor gave.
    Not for `deepspeed.initialize`: it asks for gigabytes that it never touches, and filling them takes seconds.
    """
    torch.use_deterministic_algorithms(mode=True, warn_only=True)  # fills from torch 2.2 on; it is not used for more
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=False)

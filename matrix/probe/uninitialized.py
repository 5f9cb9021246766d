"""Nothing is right by luck: memory that nobody has written to holds nothing that could be mistaken."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def without_luck() -> Iterator[None]:
    """Memory that torch hands out unwritten holds NaN, or the largest number, for as long as the context lasts.

    What was freed comes back with its old values, which would look like a right load, or like what a constructor gave.
    Not for `deepspeed.initialize`: it asks for gigabytes that it never touches, and filling them takes seconds.
    """
    torch.use_deterministic_algorithms(mode=True, warn_only=True)  # fills from torch 2.2 on; it is not used for more
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=False)

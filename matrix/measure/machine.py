"""Tells the machine's troubles from a model's: a full disk must never look like a verdict.

PURE: no input or output.
"""

import re
from typing import Final

from matrix.errors import INFRASTRUCTURE, MatrixError
from matrix.model import Case

_TROUBLES: Final = {
    "no space is left on the disk: free some, or name another folder in TMPDIR": re.compile(
        r"No space left on device|\(os error 28\)|Disk quota exceeded|\(os error 122\)|File too large"
        # What torch says when a write to its archive fails.
        r"|inline_container\.cc.*unexpected pos|PytorchStreamWriter failed writing"
    ),
    # A loader that asks for terabytes is at fault itself.
    "memory is used up": re.compile(
        r"Cannot allocate memory|\(os error 12\)|std::bad_alloc|^MemoryError"
        r"|you tried to allocate \d{1,9} bytes|Tried to allocate [\d.]+ [KM]iB"
    ),
    "too many files are open": re.compile(r"Too many open files|\(os error 24\)"),
    "the disk cannot be read or written": re.compile(r"Input/output error|\(os error 5\)"),
}
"""The words of Python, safetensors (Rust) and torch (C++) for what is never the fault of a model: a tiny model needs little."""

_KILLED: Final = re.compile(r"^RankKilled: .*SIGKILL")
"""No model does this to itself. Once it may have been a person, so a rerun decides."""


class MachineError(MatrixError):
    """The machine cannot go on: what was about to be decided is not decided."""

    exit_code = INFRASTRUCTURE

    def __init__(self, environment: str, trouble: str, case: Case) -> None:
        message = f"{case.error.type}: {case.error.message}" if case.error else ""
        super().__init__(
            f"{environment}: {trouble}. The results so far are kept, and --resume continues from there.\n"
            f"It happened with {case.key}: {message[:300]}"
        )


def find_trouble(case: Case) -> str:
    """Returns the machine's trouble that ended a case, in words; empty when there was none."""
    said = f"{case.error.type}: {case.error.message}" if case.error else ""
    if _KILLED.search(said) and case.confirmed[1] > 1:
        return "the system kills ranks, usually because memory is used up"
    return next((trouble for trouble, pattern in _TROUBLES.items() if pattern.search(said)), "")

"""Processes that tests started, and whether they are gone."""

import time
from collections.abc import Callable
from pathlib import Path


def is_running(pid: int) -> bool:
    """Tests whether a process runs; one that has ended and was not waited for does not."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] != "Z"
        )
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends_within(pid: int, *, seconds: float) -> bool:
    """Tests whether a process is gone, now or at the latest after so many seconds."""
    return happens_within(seconds, lambda: not is_running(pid))


def happens_within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Tests whether something is true, now or at the latest after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (happened := holds()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return happened

"""The processes of a measurement by what they are: found by a variable that all of them inherit."""

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARK = "ZERO3_TEST_MARK"
"""A variable that a test gives to what it starts, so that every descendant is found, whoever its parent is now."""


@dataclass(frozen=True)
class Process:
    """A process: its id, its parent's, and the words that it was started with."""

    pid: int
    parent: int
    words: tuple[str, ...]

    def runs(self, word: str) -> bool:
        """Tests whether one of its words is `word`, or a path that ends with it."""
        return any(own == word or own.endswith(f"/{word}") for own in self.words)


def find_marked(mark: str) -> list[Process]:
    """Returns every process with that mark that has not ended, in the order of their ids."""
    found = (_read(folder, f"{MARK}={mark}".encode()) for folder in Path("/proc").glob("[0-9]*"))
    return sorted((process for process in found if process), key=lambda process: process.pid)


def _read(folder: Path, mark: bytes) -> Process | None:
    try:
        if mark not in (folder / "environ").read_bytes().split(b"\0"):
            return None
        state, parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
        words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # it has ended meanwhile
        return None
    return None if state == "Z" else Process(int(folder.name), int(parent), tuple(words))


def sort_by_role(processes: list[Process]) -> Mapping[str, list[Process]]:
    """Returns the processes of `matrix run` by role: host, supervisor, installer, zygote, lane, rank."""
    by_pid = {process.pid: process for process in processes}
    roles: dict[str, list[Process]] = {}
    for process in processes:
        roles.setdefault(_find_role(process, by_pid), []).append(process)
    return roles


def _find_role(process: Process, known: Mapping[int, Process]) -> str:
    if process.runs("supervisor.py"):
        return "supervisor"
    if process.runs("uv"):
        return "installer"
    if process.runs("matrix.probe"):
        return ("zygote", "lane", "rank")[min(_depth(process, known), 2)]
    return "host" if process.runs("matrix") else "other"


def _depth(process: Process, known: Mapping[int, Process]) -> int:
    """Returns how many processes of the probe are above this one."""
    above = known.get(process.parent)
    return 1 + _depth(above, known) if above and above.runs("matrix.probe") else 0


def kill_marked(mark: str) -> None:
    """Kills every process with that mark that still runs."""
    for process in find_marked(mark):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)

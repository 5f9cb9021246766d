"""Keeps the results of a run in a nightly run of a history: whole files, once, written by one process at a time."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Final, TextIO

from matrix.errors import INFRASTRUCTURE, BusyError, MatrixError, NoResultsError, OutputError, ResultsError
from matrix.history.files import HALF
from matrix.history.reader import pack, unpack
from matrix.process.temporary import temporary_folder

LOCK: Final = ".lock"
"""The file in the folder of a history that its only writer holds."""


class HistoryBusyError(MatrixError):
    """Another process writes the same history."""

    exit_code = INFRASTRUCTURE

    def __init__(self, folder: Path) -> None:
        super().__init__(f"the history {folder} is being written by another process: wait for it, then try again")


class AlreadyKeptError(MatrixError):
    """The nightly run holds another measurement of the same cells; the message names every one."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self.files = files
        names = "\n".join(map(str, files))
        super().__init__(
            f"the history already has other content under these names, and never replaces it:\n{names}\n"
            "Nothing was archived. Archive the run into another nightly run"
        )


@contextmanager
def lock_history(folder: Path, *, wait: bool) -> Iterator[None]:
    """Makes this process the only writer of the history in `folder`; waits for another one, or raises HistoryBusyError."""
    with _lock_file(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise HistoryBusyError(folder) from error
        yield


def _lock_file(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / LOCK).open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(folder, error) from error


def archive(run: Path, history: Path, night: date, *, wait: bool = True) -> tuple[Path, ...]:
    """Keeps every results file of the finished `run` in the `night`; returns where each is kept, in order of names.

    After an interruption the same call adds what is missing. Raises NoResultsError, BusyError when the run
    is not finished, AlreadyKeptError, HistoryBusyError, OutputError.
    """
    files = sorted(run.glob("*.jsonl"))
    if not files:
        raise NoResultsError(run)
    folder = history / night.isoformat()
    with lock_history(history, wait=wait):
        contents = {_place(folder, file.name): _finished(file) for file in files}
        # Before anything is written: a run that contradicts what is kept leaves nothing behind.
        _reject_other(contents)
        for place, content in contents.items():
            if not place.exists():
                store(place, pack(content))
    return tuple(contents)


def merge(run: Path, history: Path, night: date, label: str) -> tuple[Path, ...]:
    """Keeps the results files of `run` in a `night` that may hold the same cells; returns where each is kept.

    Where the night has a file of the same name with another content, both are kept, the new one with `label` in its name:
    the history counts the better one. The same call again adds nothing. Raises what `archive` raises.
    """
    try:
        return archive(run, history, night)
    except AlreadyKeptError as error:
        taken = {file.name.removesuffix(".gz") for file in error.files}
    with temporary_folder("merge") as renamed:
        for file in sorted(run.glob("*.jsonl")):
            shutil.copy2(file, renamed / (f"{file.stem}.{label}.jsonl" if file.name in taken else file.name))
        return archive(renamed, history, night)


def has_cell(history: Path, night: date, cell: str) -> bool:
    """Returns whether the `night` has a file of the `cell` of that name."""
    folder = history / night.isoformat()
    return any(folder.glob(f"{cell}.jsonl*")) or any(folder.glob(f"{cell}.*.jsonl*"))


def _place(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.exists() else folder / f"{name}.gz"


def _finished(file: Path) -> bytes:
    """Returns the bytes of a results file that nobody writes."""
    try:
        with file.open("rb") as opened:
            # Whoever writes results holds an exclusive lock until the file is finished.
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return opened.read()
    except BlockingIOError as error:
        raise BusyError(file) from error
    except OSError as error:
        raise ResultsError(file, error.strerror or str(error)) from error


def _reject_other(contents: dict[Path, bytes]) -> None:
    other = tuple(place for place, content in contents.items() if place.exists() and _kept(place) != content)
    if other:
        raise AlreadyKeptError(other)


def _kept(place: Path) -> bytes | None:
    try:
        return unpack(place.read_bytes(), place)
    except (OSError, ResultsError):
        return None


def store(place: Path, content: bytes) -> None:
    """Writes a file whole or not at all; raises OutputError."""
    half = place.with_name(f"{place.name}{HALF}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(content)
        publish(half, place)
    except OSError as error:
        raise OutputError(place, error) from error


def publish(half: Path, place: Path) -> None:
    """Moves the written file `half` to `place` at once; both are on disk before this returns."""
    _to_disk(half)
    half.replace(place)
    _to_disk(place.parent)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

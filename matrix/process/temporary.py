"""Temporary folders that do not outlive this project's processes: the next start removes what a killed one left."""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PREFIX: Final = "zero3-temporary-"
"""Unlike anything that people call their folders: what is called so is deleted when no process holds it."""
_NEW: Final = "zero3-new-"
"""Names a folder until its process holds it. It is empty, so whoever finds it may delete it."""
_TRIES: Final = 5
KEEP: Final = "kept"
"""A file of this name in a temporary folder keeps it for people to read."""


@contextmanager
def temporary_folder(purpose: str, *, ignore_errors: bool = False) -> Iterator[Path]:
    """Yields a new folder, whose name says its `purpose`, and deletes it when the block is left, unless it holds KEEP.

    With `ignore_errors` what cannot be deleted stays: untrusted code may have made it. Folders that killed processes left
    are deleted first.
    """
    remove_abandoned_folders()
    folder, held = _create(purpose)
    try:
        yield folder
    finally:
        if not (folder / KEEP).exists():
            _delete(folder, ignore_errors=ignore_errors)
        os.close(held)


def remove_abandoned_folders() -> None:
    """Deletes the temporary folders of processes of this project that are gone."""
    for folder in Path(tempfile.gettempdir()).glob("zero3-*"):
        if not folder.name.startswith((_PREFIX, _NEW)) or (folder / KEEP).exists():
            continue
        if (held := _hold(folder)) is not None:
            _delete(folder, ignore_errors=True)
            os.close(held)


def _delete(folder: Path, *, ignore_errors: bool) -> None:
    """Deletes a folder with all that is in it, also folders in folders by the thousand."""
    try:
        shutil.rmtree(folder, ignore_errors=ignore_errors)
    except RecursionError:  # which untrusted code can bring about
        _flatten(folder)
        shutil.rmtree(folder, ignore_errors=ignore_errors)


def _flatten(folder: Path) -> None:
    """Moves every folder below `folder` into it, so that no path is long."""
    waiting = [Path(entry) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    while waiting:
        inner = [Path(entry) for entry in os.scandir(waiting.pop()) if entry.is_dir(follow_symlinks=False)]
        waiting += [path.rename(folder / secrets.token_hex(16)) for path in inner]


def _create(purpose: str) -> tuple[Path, int]:
    """Returns a new folder, and the descriptor that holds it."""
    for _ in range(_TRIES):
        new = Path(tempfile.mkdtemp(prefix=f"{_NEW}{purpose}-"))
        held = _hold(new)
        if held is None:  # another process took it for abandoned
            continue
        try:
            return new.rename(new.with_name(new.name.replace(_NEW, _PREFIX, 1))), held
        except FileNotFoundError:
            os.close(held)
    # A file system without locks: nobody could know whether this one is abandoned, so its name says nothing.
    folder = Path(tempfile.mkdtemp(prefix=f"zero3-{purpose}-"))
    return folder, os.open(folder, os.O_RDONLY)


def _hold(folder: Path) -> int | None:
    """Locks a folder for as long as this process lives; returns None where that cannot be."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        opened = os.open(folder, flags)
    except OSError:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        return None
    return opened

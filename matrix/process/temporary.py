"""Temporary folders that do not outlive this project's processes: the next start removes what a killed one left."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PREFIX: Final = "zero3-temporary-"
"""Unlike anything that people call their folders: what is called so is deleted when no process holds it."""
KEEP: Final = "kept"
"""A file of this name in a temporary folder keeps it for people to read."""


@contextmanager
def temporary_folder(purpose: str, *, ignore_errors: bool = False) -> Iterator[Path]:
    """Yields a new folder, whose name says its `purpose`, and deletes it when the block is left, unless it holds KEEP.

    With `ignore_errors` what cannot be deleted stays: untrusted code may have made it. Folders that killed processes left
    are deleted first.
    """
    remove_abandoned_folders()
    with _creating():
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}-"))
        held = _hold(folder)
    try:
        yield folder
    finally:
        if not (folder / KEEP).exists():
            shutil.rmtree(folder, ignore_errors=ignore_errors)
        if held is not None:
            os.close(held)


def remove_abandoned_folders() -> None:
    """Deletes the temporary folders of processes of this project that are gone."""
    with _creating():
        for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            held = None if folder.is_symlink() or (folder / KEEP).exists() else _hold(folder)
            if held is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(held)


def _hold(folder: Path) -> int | None:
    """Locks a folder for as long as this process lives; returns None where that is another's, or no folder of this user."""
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


@contextmanager
def _creating() -> Iterator[None]:
    """Keeps others from deleting a folder between its creation and its lock."""
    try:
        opened = os.open(_lock_file(), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:  # somebody else's file has that name: the moment in between stays without a lock
        yield
        return
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _lock_file() -> Path:
    return Path(tempfile.gettempdir()) / f"zero3-{os.geteuid()}.lock"

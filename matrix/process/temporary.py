"""Temporary folders that do not outlive this project's processes: the next start removes what a killed one left.

A process holds its folder by a lock. What is worked in is a folder inside, which may be given to untrusted code: whatever
that does there, it reaches neither the lock nor the mark that keeps a folder.
"""

import fcntl
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from matrix import clock

_PREFIX: Final = "zero3-temporary-"
"""Unlike anything that people call their folders: what is called so is deleted when no process holds it."""
_NEW: Final = "zero3-new-"
"""Names a folder until its process holds it. It is empty, so whoever finds it may delete it."""
_TRIES: Final = 5
_KEPT: Final = "kept"
_KEPT_FOR: Final = timedelta(days=7)
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_SEARCHABLE: Final = 0o711
"""The mode of a folder that the user of the sandbox can pass through, and nobody else can read."""


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """Yields a new folder in one whose name says its `purpose`, and deletes both when the block is left.

    Folders that killed processes left are deleted first. What cannot be deleted is tried again at the next start.
    """
    remove_abandoned_folders()
    outer, held = _create(purpose)
    try:
        (inner := outer / "work").mkdir(mode=0o700)
        yield inner
    finally:
        with suppress(OSError):
            if not (outer / _KEPT).exists():
                _delete(outer, held)
        os.close(held)


def keep(folder: Path) -> None:
    """Keeps a folder of `temporary_folder` for a week, for people to read."""
    (folder.parent / _KEPT).touch()


def remove_abandoned_folders() -> None:
    """Deletes this user's temporary folders of processes of this project that are gone. Raises nothing."""
    with suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob("zero3-*"):
            if folder.name.startswith((_PREFIX, _NEW)) and (held := _hold(folder)) is not None:
                with suppress(OSError):
                    if not _is_kept(folder):
                        _delete(folder, held)
                os.close(held)


def _is_kept(folder: Path) -> bool:
    try:
        since = clock.now().timestamp() - (folder / _KEPT).lstat().st_mtime
    except FileNotFoundError:
        return False
    return since < _KEPT_FOR.total_seconds()


def _delete(folder: Path, opened: int) -> None:
    """Deletes `folder`, which is `opened`, with all that is in it.

    Every folder inside is moved up before it is emptied. So no path becomes long, however deep folders are nested, and
    nothing is entered through a link. Raises OSError where something stays.
    """
    while below := [entry.name for entry in os.scandir(opened) if entry.is_dir(follow_symlinks=False)]:
        for name in below:
            _empty_into(name, opened)
            os.rmdir(name, dir_fd=opened)
    for entry in os.scandir(opened):
        os.unlink(entry.name, dir_fd=opened)
    folder.rmdir()


def _empty_into(name: str, top: int) -> None:
    """Deletes the files of the folder `name` in `top`, and moves its folders into `top`."""
    _own(name, top)
    opened = os.open(name, _FOLDER, dir_fd=top)
    try:
        for entry in os.scandir(opened):
            if entry.is_dir(follow_symlinks=False):
                _own(entry.name, opened)
                os.rename(entry.name, secrets.token_hex(16), src_dir_fd=opened, dst_dir_fd=top)
            else:
                os.unlink(entry.name, dir_fd=opened)
    finally:
        os.close(opened)


def _own(name: str, parent: int) -> None:
    """Gives this process every right to a folder that may have taken them away; nobody else is in it any more."""
    mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode) and stat.S_IMODE(mode) & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(name, stat.S_IRWXU, dir_fd=parent)


def _create(purpose: str) -> tuple[Path, int]:
    """Returns a new folder, and the descriptor that holds it."""
    for _ in range(_TRIES):
        new = Path(tempfile.mkdtemp(prefix=f"{_NEW}{purpose}-"))
        held = _hold(new)
        if held is None:  # another process took it for abandoned
            continue
        try:
            new.chmod(_SEARCHABLE)
            return new.rename(new.with_name(new.name.replace(_NEW, _PREFIX, 1))), held
        except FileNotFoundError:
            os.close(held)
    # A file system without locks: nobody could know whether this one is abandoned, so its name says nothing.
    folder = Path(tempfile.mkdtemp(prefix=f"zero3-{purpose}-"))
    folder.chmod(_SEARCHABLE)
    return folder, os.open(folder, _FOLDER)


def _hold(folder: Path) -> int | None:
    """Locks a folder for as long as this process lives; returns None where that cannot be, or it is another user's."""
    try:
        opened = os.open(folder, _FOLDER)
    except OSError:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(opened).st_uid == os.geteuid():
            return opened
    except OSError:
        pass
    os.close(opened)
    return None

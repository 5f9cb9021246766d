"""Identifies the code that measures."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from matrix.process.run import ROOT

_FILES: Final = ("model.py", "verdicts.py", "check_protocol.py", "job.py", "saved_names.py", "saved_names.json")
_FOLDERS: Final = ("checks", "probe")
"""What the probe and the checks are made of, below `matrix`."""
_LIMIT: Final = 4 << 20
"""Bytes of a file that count. Ours have some ten thousand; one of a pull request may have as many as it likes."""


def compute_probe_hash(root: Path = ROOT) -> str:
    """Returns a digest of the code that measures: verdicts of different probes are not the same measurement.

    A pull request may have made `root`: of a link, the address counts and not what is there, which may have no end.
    """
    digest = hashlib.sha256()
    for path in sorted(_list_code(root / "matrix")):
        digest.update(path.relative_to(root).as_posix().encode(errors="surrogateescape") + b"\0" + _read(path))
    return f"sha256:{digest.hexdigest()}"


def _list_code(folder: Path) -> Iterator[Path]:
    """Yields Python files, the names that older releases save, and every link instead of what it leads to; an older commit of ours has not all of them."""
    if folder.is_symlink():
        yield folder
        return
    yield from (path for name in _FILES if os.path.lexists(path := folder / name))
    for top in (folder / name for name in _FOLDERS):
        if top.is_symlink():
            yield top
            continue
        for parent, folders, files in os.walk(top):
            yield from (Path(parent, name) for name in files if name.endswith(".py"))
            yield from (path for name in folders if (path := Path(parent, name)).is_symlink())


def _read(path: Path) -> bytes:
    """Returns what counts of a file: its content where it is one of a usual size."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return b"link\0" + os.fsencode(path.readlink())
    if not stat.S_ISREG(found.st_mode):
        return b"no file\0"
    if found.st_size > _LIMIT:
        return b"large\0" + str(found.st_size).encode()
    return path.read_bytes()

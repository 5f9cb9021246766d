"""The only module of the site that writes: the files of a folder that holds one site and is replaced whole."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bot.site.data import urls
from matrix.errors import MatrixError, OutputError

MARKER: Final = ".zero3-site"
"""The file that says that a folder holds a site of ours, so that it may be replaced."""


class NotASiteError(MatrixError):
    """The folder for the site has files that do not belong to a site."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} has files that do not belong to a site: choose an empty folder")


def clear_site(root: Path, folders: Iterable[str]) -> None:
    """Makes `root` the folder of a site without a start page, and without these `folders`; leaves other files alone.

    Raises NotASiteError, OutputError.
    """
    marker = root / MARKER
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not marker.exists() and any(root.iterdir()):
            raise NotASiteError(root)
        marker.touch()
        (root / urls.START).unlink(missing_ok=True)
        for folder in filter(Path.exists, map(root.joinpath, folders)):
            shutil.rmtree(folder)
    except OSError as error:
        raise OutputError(root, error) from error


def write_file(path: Path, content: bytes) -> None:
    """Writes a file, in a new folder where there is none; raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise OutputError(path, error) from error

"""Packs a site as GitHub Pages takes it: one tar file of plain files, artifact.tar in the artifact `github-pages`.

https://docs.github.com/en/pages/getting-started-with-github-pages/using-custom-workflows-with-github-pages
"""

import tarfile
from pathlib import Path
from typing import Final

from matrix.errors import INFRASTRUCTURE, MatrixError, NoResultsError, OutputError

LIMIT: Final = 1 << 30
"""Bytes of a published site: https://docs.github.com/en/pages/getting-started-with-github-pages/github-pages-limits."""


class SiteTooLargeError(MatrixError):
    """The site is larger than GitHub Pages publishes."""

    exit_code = INFRASTRUCTURE

    def __init__(self, folder: Path, size: int) -> None:
        super().__init__(
            f"{folder} has {size:,} bytes, but GitHub Pages publishes at most {LIMIT:,}: show fewer runs or environments (docs/nightly.md)"
        )


def pack_site(site: Path, out: Path, limit: int = LIMIT) -> int:
    """Writes the files of `site` to the tar file `out`, the same bytes for the same files; returns how many there are.

    Links and hidden files are left out. Raises NoResultsError without any file, SiteTooLargeError, OutputError.
    """
    files = [
        path for path in sorted(site.rglob("*")) if path.is_file() and not path.is_symlink() and not _hidden(path, site)
    ]
    if not files:
        raise NoResultsError(site)
    if (size := sum(path.stat().st_size for path in files)) > limit:
        raise SiteTooLargeError(site, size)
    try:
        with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as archive:
            for path in files:
                archive.add(path, arcname=f"./{path.relative_to(site).as_posix()}", filter=_plain)
    except OSError as error:
        raise OutputError(out, error) from error
    return len(files)


def _hidden(path: Path, site: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(site).parts)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Removes from the entry what differs from machine to machine, and returns it."""
    # `TarInfo.replace` came with Python 3.11.4.
    entry.mtime, entry.mode, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0o644, 0, 0, "", ""
    return entry

"""The only module of the site that writes: files of a folder, only where something changed."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bot.render import look, page_html
from bot.site.data import urls as links
from bot.site.data.page_types import Pages
from bot.site.page_json import twin
from matrix.errors import MatrixError, OutputError

MARKER: Final = ".zero3-site"
"""The file that says that a folder is a site of ours, and holds the digest of the templates and the code that made its pages.

Until all are made it is empty."""
OURS: Final = ("architectures", "badges", "cases", "environments", "findings", "heat")
"""The folders of a site, in which there is nothing but pages."""


class NotASiteError(MatrixError):
    """The folder for the site holds something else."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} holds other files than a site's, which must not be mixed: choose an empty folder")


@dataclass
class Folder:
    """The folder of a site; `anew`: also pages with the same JSON are made again.

    `found` are the paths that were there in folders of ours, `paths` those that belong there, `changed` how many were written.
    """

    root: Path
    anew: bool
    found: frozenset[str] = frozenset()
    paths: set[str] = field(default_factory=set)
    changed: int = 0

    def page(self, page: Pages) -> None:
        """Write a page and its JSON.

        A page is a function of its JSON, of the templates and of our code: where its JSON is there already, so is the page.
        """
        beside, text = links.twin(page.path), twin(page).encode()
        anew = self.anew or not self._has(page.path)
        if anew or not self._is(beside, text):
            keep = self.file if anew else self._write
            keep(page.path, page_html(page, page.kind).encode())
            keep(beside, text)
        self.paths |= {page.path, beside}

    def file(self, path: str, content: bytes) -> None:
        """Write a file, if it is not there as it is to be; raises OutputError."""
        self.paths.add(path)
        if not self._is(path, content):
            self._write(path, content)

    def _write(self, path: str, content: bytes) -> None:
        write(self._place(path), content)
        self.changed += 1

    def has(self, made: str, digest: bytes, paths: Iterable[str]) -> bool:
        """Whether the file `made` says `digest`, and all `paths` are there."""
        return self._is(made, digest) and self.found.issuperset(paths)

    def _place(self, path: str) -> str:
        return f"{self.root}/{path}"

    def _has(self, path: str) -> bool:
        return os.path.isfile(self._place(path))  # noqa: PTH113 - a Path costs more than the question

    def _is(self, path: str, content: bytes) -> bool:
        try:
            with open(self._place(path), "rb") as file:  # noqa: PTH123 - as above
                return file.read() == content
        except OSError:
            return False

    def prune(self) -> int:
        """Remove what is in a folder of ours and belongs to no page; returns how many files."""
        gone = self.found - self.paths
        for path in gone:
            (self.root / path).unlink(missing_ok=True)
        return len(gone)

    def finish(self) -> None:
        """Say that all pages are made; raises OutputError."""
        write(self._place(MARKER), look().encode())


def begun(root: Path) -> Folder:
    """The folder, known to be ours, with an empty marker: after an interrupted build all pages are made anew.

    Raises NotASiteError, OutputError.
    """
    marker = root / MARKER
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not marker.exists() and any(root.iterdir()):
            raise NotASiteError(root)
        anew = not marker.exists() or marker.read_text(encoding="utf-8") != look()
    except OSError as error:
        raise OutputError(root, error) from error
    write(str(marker), b"")
    return Folder(root, anew, _found(root))


def _found(root: Path) -> frozenset[str]:
    """All files in folders of ours."""
    return frozenset(path for name in OURS for path in _files(root / name, name))


def _files(folder: Path, name: str) -> Iterator[str]:
    for below, _, files in os.walk(folder):
        path = name + below.removeprefix(str(folder))
        yield from (f"{path}/{file}" for file in files)


def write(place: str, content: bytes) -> None:
    """Write over what is there, which takes a sixth of the time of a new file in its place; raises OutputError."""
    try:
        with os.fdopen(_opened(place), "wb") as file:
            file.write(content)
            file.truncate()
    except OSError as error:
        raise OutputError(Path(place), error) from error


def _opened(place: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
    try:
        return os.open(place, flags, 0o666)
    except FileNotFoundError:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        return os.open(place, flags, 0o666)

"""The only module of the site that writes: every page beside its JSON, only where something changed, the start page last.

A page is a function of its JSON, of the templates and of our code. So where the last build came to its end, the JSON is
there already and those are the same, the page is there too, and is not made again.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

from bot.render import asset, atom, look, page_html
from bot.site import links
from bot.site.about import about_page
from bot.site.architectures import architecture_pages, architectures_page
from bot.site.atlas import Atlas
from bot.site.badges import badges
from bot.site.cases import NIGHTS, Shelf, Strips, cases_pages, shelves
from bot.site.environments import environment_pages, environments_page
from bot.site.feed import feed
from bot.site.findings import finding_pages, findings_page
from bot.site.heat import heat_pages
from bot.site.pages import Pages
from bot.site.start import start_page
from bot.site.twin import schema, twin
from matrix.advice import FRESH
from matrix.board import TRUSTED
from matrix.errors import MatrixError, OutputError
from matrix.history import opened
from matrix.history_queries import strips
from matrix.workers import spread

MARKER: Final = ".zero3-site"
"""The file that says that a folder is a site of ours, and holds the digest of the templates and the code that made its pages.

Until all are made it is empty."""
MADE: Final = "made.txt"
"""The file beside the pages of an environment's cases that tells what they were made of."""
OURS: Final = ("architectures", "badges", "cases", "environments", "findings", "heat")
"""The folders of a site, in which there is nothing but pages."""


class NotASiteError(MatrixError):
    """The folder for the site holds something else."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} holds other files than a site's, which must not be mixed: choose an empty folder")


@dataclass(frozen=True)
class Written:
    """What became of the files of a site."""

    files: int
    changed: int
    removed: int = 0

    def __str__(self) -> str:
        return f"{self.files:,} files, {self.changed:,} of them new or changed; {self.removed:,} removed"


@dataclass
class _Folder:
    """The folder of a site; `anew`: also pages with the same JSON are made again.

    `found` are the paths that were there in folders of ours, `paths` those that belong there.
    """

    root: Path
    anew: bool
    found: frozenset[str] = frozenset()
    paths: set[str] = field(default_factory=set)
    changed: int = 0

    def page(self, page: Pages) -> None:
        """Write a page and its JSON."""
        beside, text = links.twin(page.path), twin(page).encode()
        if self.anew or not self._has(page.path) or not self._is(beside, text):
            self.file(page.path, page_html(page, page.kind).encode())
            self.file(beside, text)
        self.paths |= {page.path, beside}

    def file(self, path: str, content: bytes) -> None:
        """Write a file, if it is not there as it is to be; raises OutputError."""
        self.paths.add(path)
        if self._is(path, content):
            return
        _write(self.root / path, content)
        self.changed += 1

    def has(self, made: str, digest: bytes, paths: Iterable[str]) -> bool:
        """Whether the file `made` says `digest`, and all `paths` are there."""
        return self._is(made, digest) and self.found.issuperset(paths)

    def _has(self, path: str) -> bool:
        return (self.root / path).is_file()

    def _is(self, path: str, content: bytes) -> bool:
        try:
            return (self.root / path).read_bytes() == content
        except OSError:
            return False

    def prune(self) -> int:
        """Remove what is in a folder of ours and belongs to no page; returns how many files."""
        gone = self.found - self.paths
        for path in gone:
            (self.root / path).unlink(missing_ok=True)
        return len(gone)


def _write(place: Path, content: bytes) -> None:
    """Write over what is there, which takes a sixth of the time of a new file in its place; raises OutputError."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o666), "wb") as file:
            file.write(content)
            file.truncate()
    except OSError as error:
        raise OutputError(place, error) from error


def publish(atlas: Atlas, root: Path, database: Path | None, tell: Callable[[str], None]) -> Written:
    """Make the folder `root` the site of `atlas`; `database` has the history strips. Raises NotASiteError, OutputError.

    Files are written over, the start page after all others, and what is not needed any more goes last. Until then pages
    of both builds are there, one of them perhaps half written: build beside what people read, and move it.
    """
    folder = _begun(root)
    for name, content in _assets(atlas):
        folder.file(name, content)
    tell(f"{len(atlas.readings)} environments, {len(atlas.architectures)} architectures")
    work = partial(_shelf, root, database, anew=folder.anew)
    with spread(work, _changed(atlas, folder)) as cases:  # an environment in each process
        for page in _pages(atlas):  # meanwhile
            folder.page(page)
        start = start_page(atlas)
        for number, (paths, changed) in enumerate(cases, start=1):
            folder.paths.update(paths)
            folder.changed += changed
            tell(f"cases of {number} changed environments: {len(folder.paths)} files")
    folder.page(start)
    written = Written(len(folder.paths), folder.changed, folder.prune())
    _write(root / MARKER, look().encode())
    return written


def _begun(root: Path) -> _Folder:
    """The folder, known to be ours, with an empty marker: after an interrupted build all pages are made anew."""
    marker = root / MARKER
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not marker.exists() and any(root.iterdir()):
            raise NotASiteError(root)
        anew = not marker.exists() or marker.read_text(encoding="utf-8") != look()
        marker.write_text("", encoding="utf-8")
    except OSError as error:
        raise OutputError(root, error) from error
    return _Folder(root, anew, _found(root))


def _found(root: Path) -> frozenset[str]:
    """All files in folders of ours."""
    return frozenset(path for name in OURS for path in _files(root / name, name))


def _files(folder: Path, name: str) -> Iterator[str]:
    for below, _, files in os.walk(folder):
        path = name + below.removeprefix(str(folder))
        yield from (f"{path}/{file}" for file in files)


def _assets(atlas: Atlas) -> Iterator[tuple[str, bytes]]:
    """The files that are no pages: what all pages share, and what other programs read."""
    night = atlas.night.isoformat() if atlas.night else ""
    yield "site.css", f"{asset('report.css')}\n{asset('site/site.css')}".encode()
    yield "site.js", asset("site/site.js").encode()
    ages = json.dumps({"night": night, "fresh": FRESH, "trusted": TRUSTED.days})
    yield "night.js", f'"use strict";\nglobalThis.zero3 = {ages};\n'.encode()
    yield links.FEED, atom(feed(atlas.recent, atlas.board.night, atlas.publisher)).encode()
    for path, badge in badges(atlas.board).items():
        yield path, badge.json.encode()
    yield links.SCHEMA, (json.dumps(schema(), indent=1) + "\n").encode()


def _pages(atlas: Atlas) -> Iterable[Pages]:
    """All pages but those of cases and the start page."""
    return chain(
        heat_pages(atlas),
        [environments_page(atlas), architectures_page(atlas), findings_page(atlas), about_page(atlas)],
        environment_pages(atlas),
        architecture_pages(atlas),
        finding_pages(atlas),
    )


Shelved = tuple[Shelf, bytes]
"""A shelf, and the digest of all that its pages say."""


def _changed(atlas: Atlas, folder: _Folder) -> list[Shelved]:
    """The shelves whose pages have to be made; those of any other are there, made of the very same shelf."""
    found = []
    for shelf in shelves(atlas):
        digest = hashlib.sha256(repr(shelf.inputs).encode(errors="surrogatepass")).hexdigest().encode()
        if folder.anew or not folder.has(_made(shelf), digest, shelf.paths):
            found.append((shelf, digest))
        else:
            folder.paths.update({_made(shelf), *shelf.paths})
    return found


def _made(shelf: Shelf) -> str:
    """The file that says what the cases of an environment were made of."""
    return f"{links.cases_of(shelf.reading.cell.environment.id)}/{MADE}"


def _shelf(root: Path, database: Path | None, shelved: Shelved, *, anew: bool) -> tuple[set[str], int]:
    """Write the pages of the cases of one environment; returns their paths, and how many files changed."""
    folder, (shelf, digest) = _Folder(root, anew), shelved
    for page in cases_pages(shelf, _strips(database, shelf)):
        folder.page(page)
    folder.file(_made(shelf), digest)
    return folder.paths, folder.changed


def _strips(database: Path | None, shelf: Shelf) -> Strips:
    """The last nights of an environment until it was measured: they stay the same while it is not measured again."""
    if database is None:
        return {}
    with opened(database, sound=True) as history:
        return strips(history, shelf.reading.cell.environment.id, nights=NIGHTS, night=shelf.reading.night)

"""From what was measured to the files of its site, on all processors; the start page last."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

from bot.render import asset, atom
from bot.site import links
from bot.site.about import about_page
from bot.site.architectures import architecture_pages, architectures_page
from bot.site.atlas import Atlas
from bot.site.badges import badges
from bot.site.cases import NIGHTS, Shelf, Strips, cases_pages, shelves
from bot.site.environments import environment_pages, environments_page
from bot.site.feed import feed
from bot.site.findings import finding_pages, findings_page
from bot.site.folder import Folder, begun
from bot.site.heat import heat_pages
from bot.site.pages import Pages
from bot.site.start import start_page
from bot.site.twin import schema
from matrix.advice import FRESH
from matrix.board import TRUSTED
from matrix.history import opened
from matrix.history_queries import strips
from matrix.workers import spread

MADE: Final = "made.txt"
"""The file beside the pages of an environment's cases that tells what they were made of."""
AT_ONCE: Final = 8
"""How many architectures or environments a process takes at once: few enough that none waits for another in the end."""


@dataclass(frozen=True)
class Written:
    """What became of the files of a site."""

    files: int
    changed: int
    removed: int = 0

    def __str__(self) -> str:
        return f"{self.files:,} files, {self.changed:,} of them new or changed; {self.removed:,} removed"


@dataclass(frozen=True)
class _Batch:
    """Pages that one process makes, and other files that belong to them."""

    pages: Callable[[], Iterable[Pages]]
    files: tuple[tuple[str, bytes], ...] = ()


def publish(atlas: Atlas, root: Path, database: Path | None, tell: Callable[[str], None]) -> Written:
    """Make the folder `root` the site of `atlas`; `database` has the history strips. Raises NotASiteError, OutputError.

    Files are written over, the start page after all others, and what is not needed any more goes last. Until then pages
    of both builds are there, one of them perhaps half written: build beside what people read, and move it.
    """
    folder = begun(root)
    tell(f"{len(atlas.readings)} environments, {len(atlas.architectures)} architectures")
    batches = [*_parts(atlas), *_changed(atlas, database, folder)]
    with spread(partial(_make, root, anew=folder.anew), batches) as made:
        _make_here(atlas, folder)  # meanwhile
        start = start_page(atlas)
        for number, (paths, changed) in enumerate(made, start=1):
            folder.paths.update(paths)
            folder.changed += changed
            tell(f"{number} of {len(batches)} parts made: {len(folder.paths)} files")
    folder.page(start)
    written = Written(len(folder.paths), folder.changed, folder.prune())
    folder.finish()
    return written


def _make(root: Path, batch: _Batch, *, anew: bool) -> tuple[set[str], int]:
    """Write a batch; returns the paths, and how many files changed."""
    folder = Folder(root, anew)
    for page in batch.pages():
        folder.page(page)
    for name, content in batch.files:
        folder.file(name, content)
    return folder.paths, folder.changed


def _make_here(atlas: Atlas, folder: Folder) -> None:
    """Write what is no batch: pages of which there are few, and the files that are no pages."""
    lists: list[Pages] = [environments_page(atlas), architectures_page(atlas), findings_page(atlas), about_page(atlas)]
    for page in chain(lists, heat_pages(atlas), finding_pages(atlas)):
        folder.page(page)
    for name, content in _assets(atlas):
        folder.file(name, content)


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


def _parts(atlas: Atlas) -> Iterator[_Batch]:
    """The pages of architectures and environments."""
    for start in range(0, len(atlas.architectures), AT_ONCE):
        yield _Batch(partial(architecture_pages, atlas, slice(start, start + AT_ONCE)))
    for start in range(0, len(atlas.readings), AT_ONCE):
        yield _Batch(partial(environment_pages, atlas, slice(start, start + AT_ONCE)))


def _changed(atlas: Atlas, database: Path | None, folder: Folder) -> Iterator[_Batch]:
    """The pages of cases that have to be made, by environment; those of any other are there, made of the very same shelf."""
    for shelf in shelves(atlas):
        digest = hashlib.sha256(repr(shelf.inputs).encode(errors="surrogatepass")).hexdigest().encode()
        made = f"{links.cases_of(shelf.reading.cell.environment.id)}/{MADE}"
        if folder.anew or not folder.has(made, digest, shelf.paths):
            yield _Batch(partial(_cases, database, shelf), ((made, digest),))
        else:
            folder.paths.update({made, *shelf.paths})


def _cases(database: Path | None, shelf: Shelf) -> Iterator[Pages]:
    return cases_pages(shelf, _strips(database, shelf))


def _strips(database: Path | None, shelf: Shelf) -> Strips:
    """The last nights of an environment until it was measured: they stay the same while it is not measured again."""
    if database is None:
        return {}
    with opened(database, sound=True) as history:
        return strips(history, shelf.reading.cell.environment.id, nights=NIGHTS, night=shelf.reading.night)

"""From what was measured to the files of its site, on all processors; the start page last."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

from bot.render import asset, atom, ready
from bot.site.data import urls as links
from bot.site.data.index import Atlas
from bot.site.data.page_types import Pages
from bot.site.folder import Folder, begun
from bot.site.page_json import schema
from bot.site.pages.about import about_page
from bot.site.pages.architectures import architecture_pages, architectures_page
from bot.site.pages.badges import badges
from bot.site.pages.cases import Shelf, Strips, cases_pages, shelves
from bot.site.pages.environments import environment_pages, environments_page
from bot.site.pages.failures import finding_pages, findings_page
from bot.site.pages.feed import feed
from bot.site.pages.heat_map import heat_pages
from bot.site.pages.start import start_page
from matrix.advice.advice import FRESH
from matrix.history.database import opened
from matrix.history.queries import strips
from matrix.history.snapshot import TRUSTED
from matrix.parallel import spread

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


File = tuple[str, bytes]
"""The path and the content of a file that is no page."""
Part = Callable[[], Iterable[Pages | File]]
"""Makes what one process writes."""


def publish(atlas: Atlas, root: Path, database: Path | None, tell: Callable[[str], None]) -> Written:
    """Make the folder `root` the site of `atlas`; `database` has the history strips. Raises NotASiteError, OutputError.

    Files are written over, the start page after all others, and what is not needed any more goes last. Until then pages
    of both builds are there, one of them perhaps half written: build beside what people read, and move it.
    """
    folder = begun(root)
    tell(f"{len(atlas.readings)} environments, {len(atlas.architectures)} architectures")
    ready()
    with _making("environments", _of_environments(atlas), folder, tell):
        # The causes of failures are found meanwhile: environments do not tell them.
        parts = [*_of_architectures(atlas), *_of_cases(atlas, database, folder)]
    with _making("architectures and cases", parts, folder, tell):
        _make_here(atlas, folder)
        start = start_page(atlas)
    folder.page(start)
    written = Written(len(folder.paths), folder.changed, folder.prune())
    folder.finish()
    return written


@contextmanager
def _making(what: str, parts: Sequence[Part], folder: Folder, tell: Callable[[str], None]) -> Iterator[None]:
    """Have other processes write `parts` into `folder` while this one does something else."""
    with spread(partial(_make, folder.root, anew=folder.anew), parts) as made:
        yield
        for number, (paths, changed) in enumerate(made, start=1):
            folder.paths.update(paths)
            folder.changed += changed
            tell(f"{what}: {number} of {len(parts)} parts made: {len(folder.paths)} files")


def _make(root: Path, part: Part, *, anew: bool) -> tuple[set[str], int]:
    """Write a part; returns the paths, and how many files changed."""
    folder = Folder(root, anew)
    _write(folder, part())
    return folder.paths, folder.changed


def _write(folder: Folder, made: Iterable[Pages | File]) -> None:
    for one in made:
        if isinstance(one, tuple):
            folder.file(*one)
        else:
            folder.page(one)


def _make_here(atlas: Atlas, folder: Folder) -> None:
    """Write what is no part: pages of which there are few, and files that are no pages."""
    _write(folder, chain([findings_page(atlas), about_page(atlas)], finding_pages(atlas), _assets(atlas)))


def _assets(atlas: Atlas) -> Iterator[File]:
    """The files that are no pages: what all pages share, and what other programs read."""
    night = atlas.night.isoformat() if atlas.night else ""
    yield "site.css", f"{asset('report.css')}\n{asset('site/site.css')}".encode()
    yield "site.js", asset("site/site.js").encode()
    ages = json.dumps({"night": night, "fresh": FRESH, "trusted": TRUSTED.days})
    yield "night.js", f'"use strict";\nglobalThis.zero3 = {ages};\n'.encode()
    yield links.FEED, atom(feed(atlas.recent, atlas.board.night, atlas.publisher)).encode()
    yield links.SCHEMA, f"{json.dumps(schema(), indent=1)}\n".encode()


def _of_environments(atlas: Atlas) -> list[Part]:
    """The pages of environments, the lists, heat maps and badges: all that does not tell of failures."""
    starts = range(0, len(atlas.readings), AT_ONCE)
    return [
        partial(_badges, atlas),
        partial(_lists, atlas),
        *(partial(environment_pages, atlas, slice(start, start + AT_ONCE)) for start in starts),
    ]


def _badges(atlas: Atlas) -> Iterator[File]:
    for path, badge in badges(atlas.board).items():
        yield path, badge.json.encode()


def _lists(atlas: Atlas) -> Iterator[Pages]:
    yield environments_page(atlas)
    yield architectures_page(atlas)
    yield from heat_pages(atlas)


def _of_architectures(atlas: Atlas) -> Iterator[Part]:
    """The pages of architectures."""
    for start in range(0, len(atlas.architectures), AT_ONCE):
        yield partial(architecture_pages, atlas, slice(start, start + AT_ONCE))


def _of_cases(atlas: Atlas, database: Path | None, folder: Folder) -> Iterator[Part]:
    """The pages of cases that have to be made, by environment; those of any other are there, made of the very same shelf."""
    for shelf in shelves(atlas):
        digest = hashlib.sha256(repr(shelf.inputs).encode(errors="surrogatepass")).hexdigest().encode()
        made = f"{links.cases_of(shelf.reading.cell.environment.id)}/{MADE}"
        if folder.anew or not folder.has(made, digest, shelf.paths):
            yield partial(_cases, database, shelf, (made, digest))
        else:
            folder.paths.update({made, *shelf.paths})


def _cases(database: Path | None, shelf: Shelf, made: File) -> Iterator[Pages | File]:
    yield from cases_pages(shelf, _strips(database, shelf))
    yield made


def _strips(database: Path | None, shelf: Shelf) -> Strips:
    """The last nights of an environment until it was measured: they stay the same while it is not measured again."""
    if database is None:
        return {}
    with opened(database, sound=True) as history:
        return strips(history, shelf.reading.cell.environment.id, [night.day for night in shelf.nights])

"""Writes a whole site, on all processors, the start page last."""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from bot.render import asset, atom, page_html, ready
from bot.site.data import urls as links
from bot.site.data.index import Atlas
from bot.site.data.page_types import Pages
from bot.site.folder import clear, write
from bot.site.outputs.api import build_api
from bot.site.outputs.badges import badges
from bot.site.outputs.feed import feed
from bot.site.pages.about import about_page
from bot.site.pages.architectures import architecture_pages, architectures_page
from bot.site.pages.cases import Shelf, Strips, cases_pages, shelves
from bot.site.pages.environments import environment_pages, environments_page
from bot.site.pages.failures import finding_pages, findings_page
from bot.site.pages.heat_map import heat_pages
from bot.site.pages.start import start_page
from matrix.advice.advice import FRESH
from matrix.history.database import opened
from matrix.history.queries import strips
from matrix.history.snapshot import TRUSTED
from matrix.parallel import spread

FOLDERS: Final = ("api", "architectures", "badges", "cases", "environments", "findings", "heat")
AT_ONCE: Final = 8
"""How many architectures or environments a process takes at once: few enough that none waits for another in the end."""

File = tuple[str, bytes]
"""The path and the content of a file that is no page."""
Part = Callable[[], Iterable[Pages | File]]
"""Makes what one process writes."""


def publish(atlas: Atlas, root: Path, database: Path | None, tell: Callable[[str], None]) -> int:
    """Replaces the folder `root` by the site of `atlas`, and returns how many files it has.

    `database` has the history of each case. Raises NotASiteError, OutputError.
    """
    clear(root, FOLDERS)
    tell(f"{len(atlas.readings)} environments, {len(atlas.architectures)} architectures")
    ready()
    files = 0
    parts = _parts(atlas, database)
    with spread(partial(_write, root), parts) as made:
        for number, written in enumerate(made, start=1):
            files += written
            tell(f"{number} of {len(parts)} parts made: {files} files")
    return files + _write(root, partial(iter, [start_page(atlas)]))


def _write(root: Path, part: Part) -> int:
    """Writes a part; returns how many files it has."""
    number = 0
    for number, one in enumerate(part(), start=1):  # noqa: B007
        path, content = one if isinstance(one, tuple) else (one.path, page_html(one, one.kind).encode())
        write(root / path, content)
    return number


def _parts(atlas: Atlas, database: Path | None) -> list[Part]:
    """All but the start page. What several parts need is found here, once, before other processes begin."""
    cases = [partial(_cases, database, shelf) for shelf in shelves(atlas)]
    environments, architectures = (range(0, len(all_of), AT_ONCE) for all_of in (atlas.readings, atlas.architectures))
    return [
        *cases,
        *(partial(environment_pages, atlas, slice(start, start + AT_ONCE)) for start in environments),
        *(partial(architecture_pages, atlas, slice(start, start + AT_ONCE)) for start in architectures),
        *(partial(part, atlas) for part in (_lists, finding_pages, _assets, _badges, build_api)),
    ]


def _assets(atlas: Atlas) -> Iterator[File]:
    """The files that all pages share, and the feed."""
    night = atlas.night.isoformat() if atlas.night else ""
    yield "site.css", f"{asset('report.css')}\n{asset('site/site.css')}".encode()
    yield "site.js", asset("site/site.js").encode()
    ages = json.dumps({"night": night, "fresh": FRESH, "trusted": TRUSTED.days})
    yield "night.js", f'"use strict";\nglobalThis.zero3 = {ages};\n'.encode()
    yield links.FEED, atom(feed(atlas.recent, atlas.board.night, atlas.publisher)).encode()


def _badges(atlas: Atlas) -> Iterator[File]:
    for path, badge in badges(atlas.board).items():
        yield path, badge.json.encode()


def _lists(atlas: Atlas) -> Iterator[Pages]:
    yield from (environments_page(atlas), architectures_page(atlas), findings_page(atlas), about_page(atlas))
    yield from heat_pages(atlas)


def _cases(database: Path | None, shelf: Shelf) -> Iterable[Pages]:
    return cases_pages(shelf, _strips(database, shelf))


def _strips(database: Path | None, shelf: Shelf) -> Strips:
    """The last nights of an environment until it was measured."""
    if database is None:
        return {}
    with opened(database, sound=True) as history:
        return strips(history, shelf.reading.cell.environment.id, [night.day for night in shelf.nights])

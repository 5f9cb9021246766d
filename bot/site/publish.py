"""Writes a whole site, on all processors, the start page last."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from bot.render import render_asset, render_feed, render_page
from bot.site.data import urls
from bot.site.data.site_index import SiteIndex
from bot.site.folder import clear_site, write_file
from bot.site.outputs.api import build_api
from bot.site.outputs.badges import build_badges
from bot.site.outputs.feed import build_feed
from bot.site.page_kinds import FOLDERS, LAST, NAVIGATION, PAGE_KINDS
from matrix.advice.advice import FRESH
from matrix.history.snapshot import TRUSTED
from matrix.process.parallel import spread

OUTPUTS: Final = ("api", "badges")
"""The folders of a site that hold no pages."""

Task = tuple[str, tuple[Any, ...]]
"""What one process does at a time: a kind of pages, and the arguments of its `build` beyond the site."""


def publish_site(site: SiteIndex, root: Path, echo: Callable[[str], None]) -> int:
    """Replaces the folder `root` by the `site`, and returns how many files it has. Raises NotASiteError, OutputError."""
    clear_site(root, (*FOLDERS, *OUTPUTS))
    echo(f"{len(site.readings)} environments, {len(site.architectures)} architectures")
    tasks = list_tasks(site)
    files = 0
    with spread(partial(_write_task, root, site), tasks) as made:
        files += _write_files(root, site)
        for number, written in enumerate(made, start=1):
            files += written
            if number % 100 == 0 or number == len(tasks):
                echo(f"{number:,} of {len(tasks):,} parts written: {files:,} files")
    return files + _write_task(root, site, (LAST, ()))


def list_tasks(site: SiteIndex) -> list[Task]:
    """Returns the tasks for all pages but the start page. What they need of the site is found here, once for all processes."""
    return [(name, task) for name, kind in PAGE_KINDS.items() if name != LAST for task in kind.tasks(site)]


def _write_task(root: Path, site: SiteIndex, task: Task) -> int:
    """Writes the pages of a task; returns how many."""
    name, arguments = task
    number = 0
    for page in PAGE_KINDS[name].build_task(site, arguments):
        write_file(root / page.path, render_page(page, page.template, NAVIGATION).encode())
        number += 1
    return number


def _write_files(root: Path, site: SiteIndex) -> int:
    """Writes all files other than pages; returns how many."""
    files = dict(_files(site))
    for path, content in files.items():
        write_file(root / path, content)
    return len(files)


def _files(site: SiteIndex) -> Iterator[tuple[str, bytes]]:
    yield "site.css", f"{render_asset('report.css')}\n{render_asset('site/site.css')}".encode()
    yield "site.js", render_asset("site/site.js").encode()
    ages = json.dumps({"night": site.night.isoformat() if site.night else "", "fresh": FRESH, "trusted": TRUSTED.days})
    yield "night.js", f'"use strict";\nglobalThis.zero3 = {ages};\n'.encode()
    yield urls.FEED, render_feed(build_feed(site.recent, site.snapshot.night, site.publisher)).encode()
    yield from ((path, badge.json.encode()) for path, badge in build_badges(site.snapshot).items())
    yield from build_api(site)

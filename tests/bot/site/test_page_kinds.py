"""A page is one module and one template: whatever else knows of it is derived from the folder."""

import json
from pathlib import Path

import pytest

from bot.site.page_kinds import PAGE_KINDS
from tests.support.command_line import copy_tree, python
from tests.support.sites import Page, paths_of

ROOT = Path(__file__).parents[3]
MODULE = '''
"""PURE. A made-up page."""

from dataclasses import dataclass
from typing import Final

from bot.site.data.page import Page, PageKind
from bot.site.data.site_index import SiteIndex


@dataclass(frozen=True, kw_only=True)
class MadeUpPage(Page):
    """How many environments there are."""

    environments: int


def build(site: SiteIndex) -> MadeUpPage:
    """Builds the page."""
    return MadeUpPage(path=PAGE.address, title="Made up", crumbs=(), night=site.night, environments=len(site.readings))


PAGE: Final = PageKind("made_up/index.html", "nothing that is there", 70, build, navigation="Something made up")
'''
TEMPLATE = '{% extends "site/base.html.j2" %}{% block main %}{{ page.environments }} environments made up{% endblock %}'


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project with one page more."""
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    (tree / "bot/site/pages/made_up.py").write_text(MODULE)
    (tree / "bot/templates/site/made_up.html.j2").write_text(TEMPLATE)
    return tree


def test_a_new_page_is_on_the_site_and_in_its_navigation(tree: Path) -> None:
    python(tree, "-m", "bot", "dashboard", "--history", "tests/data/site/history", "--out", "out")
    page = (tree / "out/made_up/index.html").read_text(encoding="utf-8")
    assert "9 environments made up" in page
    start, about = (Page((tree / "out" / name).read_text(encoding="utf-8")) for name in ("index.html", "about.html"))
    assert "made_up/index.html" in start.all("href", "a")
    assert "Something made up How to read" in " ".join("".join(about.text).split())


def test_a_new_page_is_looked_at_in_the_browser_and_documented(tree: Path) -> None:
    walked = python(tree, "-c", "import json\nfrom tests.browser.test_site_walk import PAGE_KINDS\nprint(json.dumps([*PAGE_KINDS]))")  # fmt: skip
    assert "made_up" in json.loads(walked)
    python(tree, "-m", "bot", "documents")
    assert "| `made_up/index.html` | nothing that is there |" in (tree / "docs/dashboard.md").read_text(
        encoding="utf-8"
    )


def test_every_page_of_a_site_is_of_exactly_one_kind(site: Path) -> None:
    found = [path for kind in PAGE_KINDS for path in paths_of(site, kind)]
    assert sorted(found) == sorted(site.rglob("*.html"))


def test_every_template_of_a_page_has_its_module() -> None:
    templates = {path.name.partition(".")[0] for path in (ROOT / "bot/templates/site").glob("[a-z]*.html.j2")}
    assert templates - {"base"} == set(PAGE_KINDS)

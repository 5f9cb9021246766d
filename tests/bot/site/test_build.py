"""The site as files: whole, inert, and the same each time."""

import json
import pickle
import posixpath
import re
import shutil
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from bot.render import render_page
from bot.site import publish
from bot.site.build import Sources, write_site_of_history
from bot.site.data import urls
from bot.site.data.publisher import Publisher
from bot.site.folder import NotASiteError
from bot.site.page_kinds import NAVIGATION, PAGE_KINDS
from bot.site.pages import start
from matrix.errors import OutputError
from matrix.history.changes import count_retracted
from matrix.history.database import open_database
from matrix.verdicts import Verdict
from tests.support.history.folder import NEW, Folder, day
from tests.support.runs import BERT, ROUTER, case, cell
from tests.support.sites import HISTORY, HOSTILE, Page, four, hostile, pages, pair, publish_quietly, site_index, small

Site = dict[str, Page]


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the real records."""
    root = tmp_path_factory.mktemp("site")
    records = shutil.copytree(HISTORY, root / "history")  # it is locked while it is read
    write_site_of_history(Sources(records, root / "history.sqlite"), root / "site", {}, lambda _: None)
    return root / "site"


@pytest.fixture(scope="module")
def site(folder: Path) -> Site:
    return dict(pages(folder))


@pytest.fixture(scope="module")
def hostile_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    publish_quietly(hostile(), root)
    return root


@cache
def led(path: str, address: str) -> str:
    """Where a link on a page leads to inside the site."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(address))) if address else path


def broken(site: Site, files: set[str]) -> list[str]:
    """The links of a site that lead nowhere, each with its page."""
    anchors = {path: set(page.all("id")) for path, page in site.items()}
    found = []
    for path, page in site.items():
        for address in {*page.all("href"), *page.all("src")}:
            parts = urlsplit(address)
            target = led(path, parts.path)
            missing = target not in files or (parts.fragment and unquote(parts.fragment) not in anchors[target])
            if not parts.scheme and missing:
                found.append(f"{path}: {address}")
    return found


def text_of(path: Path) -> str:
    """What a page says, with single spaces."""
    return " ".join("".join(Page(path.read_text(encoding="utf-8")).text).split())


@pytest.mark.parametrize("which", ["folder", "hostile_folder"])
def test_every_link_and_anchor_leads_somewhere(which: str, request: pytest.FixtureRequest) -> None:
    root: Path = request.getfixturevalue(which)
    assert not broken(dict(pages(root)), set(files(root)))


def test_no_page_asks_for_anything_outside(site: Site) -> None:
    for path, page in site.items():
        assert (page.all("content", "meta")[0]).startswith(
            "default-src 'none'; style-src 'self'; script-src 'self';"
        ), path
        loaded = [
            *page.all("src"),
            *page.all("href", "link"),
            *page.all("srcset"),
            *page.all("action"),
            *page.all("data"),
        ]
        assert not [address for address in loaded if urlsplit(address).scheme not in ("", "data")], path
        assert not page.all("style"), f"{path}: the policy forbids inline styles"


def test_links_that_leave_the_site_lead_to_issues_only(site: Site) -> None:
    outside = {address for page in site.values() for address in page.all("href") if urlsplit(address).scheme == "https"}
    assert outside
    assert all(address.startswith("https://github.com/") for address in outside)


def test_every_page_has_a_title_a_heading_and_no_id_twice(site: Site) -> None:
    for path, page in site.items():
        names = [tag for tag, _ in page.tags]
        assert names.count("title") == names.count("h1") == names.count("main") == 1, path
        assert len(page.all("id")) == len(set(page.all("id"))), path


def test_headings_leave_no_level_out(site: Site) -> None:
    for path, page in site.items():
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1, path
        assert all(after - before <= 1 for before, after in pairwise(levels)), path


def test_every_header_of_a_table_has_a_scope(site: Site) -> None:
    for path, page in site.items():
        assert not [attributes for tag, attributes in page.tags if tag == "th" and "scope" not in attributes], path


def test_hostile_text_is_inert_on_every_page(hostile_folder: Path, site: Site) -> None:
    plain = {tag for page in site.values() for tag, _ in page.tags}
    for path, page in pages(hostile_folder):
        html = (hostile_folder / path).read_text(encoding="utf-8")
        assert {tag for tag, _ in page.tags} <= plain, path
        assert [tag for tag, _ in page.tags].count("script") == 2 + (path == urls.START), path
        assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")], path
        assert not re.search("[\\x00\\x1b\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]", html), path
        assert not [address for address in page.all("href") if urlsplit(address).scheme not in ("", "data", "https")], (
            path
        )


def test_hostile_text_is_there_to_be_read(hostile_folder: Path) -> None:
    page = Page((hostile_folder / urls.environment(HOSTILE)).read_text(encoding="utf-8"))
    text = "".join(page.text)
    assert "<script>alert(1)</script>" in text
    assert "\\u202e" in text
    assert "{{ 7*7 }}" in text


def test_hostile_text_is_data_in_json(hostile_folder: Path) -> None:
    for path, content in files(hostile_folder).items():
        if path.endswith(".json"):
            assert content.isascii()
            json.loads(content)


def test_hostile_text_cannot_end_the_data_of_the_answer_box() -> None:
    html = render_page(start.build(hostile()), "start", NAVIGATION)
    (inside,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert not set("<>&\u2028\u2029") & set(inside)
    assert HOSTILE[:150] in [one["id"][:150] for one in json.loads(inside)["architectures"]]


def test_hostile_names_stay_in_the_folder(hostile_folder: Path) -> None:
    assert {path.name for path in hostile_folder.parent.iterdir()} >= {hostile_folder.name}
    assert all(re.fullmatch(r"[\w.~,/-]+", path, re.ASCII) for path in files(hostile_folder))


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(NotASiteError):
        publish_quietly(small(), tmp_path)
    assert list(files(tmp_path)) == ["thesis.tex"]


def test_the_same_snapshot_gives_the_same_bytes(tmp_path: Path) -> None:
    number = publish_quietly(small(), tmp_path / "one")
    publish_quietly(small(), tmp_path / "two")
    made = files(tmp_path / "one")
    assert made == files(tmp_path / "two")
    assert len(made) == number + 1  # and the marker


def test_a_site_is_replaced_whole_and_nothing_else(tmp_path: Path) -> None:
    publish_quietly(small(), tmp_path)
    (tmp_path / "CNAME").write_text("zero3.example")
    (tmp_path / urls.ABOUT).write_text("half wri")
    other = site_index(cell(*four(BERT), environment=pair("5.6.0")))
    publish_quietly(other, tmp_path)
    assert (tmp_path / "CNAME").read_text() == "zero3.example"
    (tmp_path / "CNAME").unlink()
    publish_quietly(other, tmp_path / "new")
    again = files(tmp_path)
    assert {path: again[path] for path in again if not path.startswith("new/")} == files(tmp_path / "new")


def test_an_interrupted_site_has_no_start_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_quietly(small(), tmp_path)

    def interrupted(*_: object) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publish, "build_api", interrupted)
        with pytest.raises(KeyboardInterrupt):
            publish_quietly(small(), tmp_path)
    assert not (tmp_path / urls.START).exists()
    publish_quietly(small(), tmp_path)
    assert (tmp_path / urls.START).exists()


def test_a_page_that_cannot_be_written_is_told_in_words(tmp_path: Path) -> None:
    publish_quietly(small(), tmp_path)
    (tmp_path / urls.ABOUT).unlink()
    (tmp_path / urls.ABOUT).mkdir()
    with pytest.raises(OutputError, match="Is a directory"):
        publish_quietly(small(), tmp_path)


def test_what_pages_are_built_from_can_be_handed_to_another_process() -> None:
    """As where processes are not forked, and from Python 3.14 on everywhere."""
    tasks, site = pickle.loads(pickle.dumps((publish.list_tasks(small()), small())))  # noqa: S301 - our own
    assert tasks == publish.list_tasks(small())
    for name, task in tasks:
        assert [*PAGE_KINDS[name].build_task(site, task)] == [*PAGE_KINDS[name].build_task(small(), task)]


def test_a_history_gives_histories_changes_and_retracted_verdicts(tmp_path: Path) -> None:
    kept = Folder(tmp_path)
    kept.keep(0, cell(case(ROUTER, Verdict.CORRUPT), environment=NEW))
    kept.keep(1, cell(case(ROUTER), environment=NEW))
    kept.build()
    write_site_of_history(Sources(kept.records, kept.database), tmp_path / "out", {}, lambda _: None)
    case_page, start, about = (
        text_of(tmp_path / "out" / path) for path in (urls.cases(NEW.id, ROUTER), urls.START, urls.ABOUT)
    )
    assert f"The last 2 nightly runs corrupt {day(0)}pass {day(1)}" in case_page
    assert "corrupt became ✓ pass for 1 case" in start
    assert "Retracted: 1 case." in about


def test_record_files_that_do_not_count_are_told(tmp_path: Path) -> None:
    kept = Folder(tmp_path)
    kept.keep(0, cell(case(ROUTER), environment=NEW))
    told: list[str] = []
    sources, out = Sources(kept.records, kept.database), tmp_path / "out"
    write_site_of_history(sources, out, {}, told.append)
    assert "not count" not in "".join(told) + (out / urls.ABOUT).read_text(encoding="utf-8")
    for name in ("damaged", "damaged too"):
        kept.put(f"{day(0)}/{name}.jsonl.gz", b"no records")
    write_site_of_history(sources, out, {}, told.append)
    command = f"python -m matrix history {kept.records} --database {kept.database}"
    assert f"2 record files do not count. To see which and why: {command}" in told
    assert "2 record files of it did not count" in (out / urls.ABOUT).read_text(encoding="utf-8")


def test_a_verdict_is_not_retracted_when_the_inputs_changed(tmp_path: Path) -> None:
    kept = Folder(tmp_path)
    kept.keep(0, cell(case(ROUTER, Verdict.CORRUPT), environment=NEW))
    kept.keep(1, replace(cell(case(ROUTER), environment=NEW), probe="sha256:other"))
    kept.build()
    with open_database(kept.database) as history:
        assert count_retracted(history) == 0


def test_a_site_before_its_first_night_shows_no_date(tmp_path: Path) -> None:
    publish_quietly(site_index(), tmp_path)
    for path, page in pages(tmp_path):
        assert not page.all("datetime"), path
    assert json.loads((tmp_path / urls.API).read_bytes())["newest"] is None


def test_the_feed_is_named_after_who_publishes_it(tmp_path: Path) -> None:
    publish_quietly(site_index(cell(*four()), publisher=Publisher("acme.github.io")), tmp_path / "site")
    assert "tag:acme.github.io,2026:changes" in (tmp_path / "site/feed.atom").read_text(encoding="utf-8")

"""The site as files: whole, inert, the same each time, and written only where something changed."""

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
from jsonschema import Draft202012Validator

from bot.render import page_html
from bot.site import publish
from bot.site.build import Sources, site_of_history
from bot.site.data import urls as links
from bot.site.folder import MARKER, NotASiteError, begun, write
from bot.site.page_json import schema, twin
from bot.site.pages.feed import Publisher
from bot.site.pages.start import start_page
from matrix.errors import OutputError
from matrix.history.database import opened
from matrix.history.queries import withdrawn
from matrix.model import Tensors, Verdict
from tests.support.history.folder import NEW, Folder, day
from tests.support.runs import BERT, ROUTER, case, cell
from tests.support.sites import HISTORY, HOSTILE, Page, atlas_of, four, hostile, pages, pair, publish_quietly, small

SCHEMA = Path(__file__).parents[3] / "docs/site.schema.json"
Site = dict[str, Page]


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the real records."""
    root = tmp_path_factory.mktemp("site")
    records = shutil.copytree(HISTORY, root / "history")  # it is locked while it is read
    site_of_history(Sources(records, root / "history.sqlite"), root / "site", {}, lambda _: None)
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


def test_every_page_has_its_json_as_the_schema_says(folder: Path, site: Site) -> None:
    validator = Draft202012Validator(schema())
    seen: dict[str, int] = {}
    for path in site:
        told = json.loads((folder / links.twin(path)).read_bytes())
        assert (told["path"], told["schema"]) == (path, 1)
        seen[told["kind"]] = seen.get(told["kind"], 0) + 1
        if seen[told["kind"]] <= 3:
            validator.validate(told)
    assert len(seen) == 10


def test_the_schema_in_the_documentation_is_that_of_the_pages() -> None:
    """`python -m bot dashboard` writes it as schema.json: copy it when the contexts changed, and think of `SCHEMA`."""
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == json.loads(json.dumps(schema()))


def test_the_schema_explains_whatever_of_the_answers_is_no_plain_name() -> None:
    told = schema()["$defs"]["AnswerEnvironment"]
    assert [name for name in ("verdicts", "answers", "flaky", "why") if f"`{name}`" not in told["description"]] == []


def test_a_forged_number_is_no_json_number_and_ends_nothing() -> None:
    assert json.loads(twin({"seconds": float("nan"), "other": [float("-inf"), 1.5]})) == {
        "seconds": None,
        "other": [None, 1.5],
    }


def test_hostile_text_is_inert_on_every_page(hostile_folder: Path, site: Site) -> None:
    plain = {tag for page in site.values() for tag, _ in page.tags}
    for path, page in pages(hostile_folder):
        html = (hostile_folder / path).read_text(encoding="utf-8")
        assert {tag for tag, _ in page.tags} <= plain, path
        assert [tag for tag, _ in page.tags].count("script") == 2 + (path == links.START), path
        assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")], path
        assert not re.search("[\\x00\\x1b\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]", html), path
        assert not [address for address in page.all("href") if urlsplit(address).scheme not in ("", "data", "https")], (
            path
        )


def test_hostile_text_is_there_to_be_read(hostile_folder: Path) -> None:
    page = Page((hostile_folder / links.environment(HOSTILE)).read_text(encoding="utf-8"))
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
    html = page_html(start_page(hostile()), "start")
    (inside,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert not set("<>&\u2028\u2029") & set(inside)
    assert HOSTILE[:150] in [one["id"][:150] for one in json.loads(inside)["architectures"]]


def test_hostile_names_stay_in_the_folder(hostile_folder: Path) -> None:
    assert {path.name for path in hostile_folder.parent.iterdir()} >= {hostile_folder.name}
    assert all(re.fullmatch(r"[\w.~,/-]+", path, re.ASCII) for path in files(hostile_folder))


def test_the_same_board_gives_the_same_bytes_and_writes_nothing_again(tmp_path: Path) -> None:
    first = publish_quietly(small(), tmp_path / "one")
    publish_quietly(small(), tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    again = publish_quietly(small(), tmp_path / "one")
    assert (again.files, again.changed, again.removed) == (first.files, 0, 0)


def test_only_what_changed_is_written_again(tmp_path: Path) -> None:
    publish_quietly(small(), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    worse = cell(*four(ROUTER, Verdict.CRASH), *four(BERT), environment=pair("5.6.0"))
    readings = tuple(
        atlas_of(worse).readings[0] if reading.cell.environment.transformers == "5.6.0" else reading
        for reading in small().board.readings
    )
    publish_quietly(replace(small(), board=replace(small().board, readings=readings)), tmp_path)
    changed = {
        path.relative_to(tmp_path).as_posix()
        for path, time in before.items()
        if path.exists() and path.stat().st_mtime_ns != time
    }
    environment = pair("5.6.0").id
    assert links.cases(environment, ROUTER) in changed
    assert links.cases(environment, BERT) not in changed
    assert links.cases(pair("5.5.4").id, ROUTER) not in changed
    assert links.START in changed


def test_pages_that_are_no_more_are_removed_and_nothing_else(tmp_path: Path) -> None:
    publish_quietly(small(), tmp_path)
    (tmp_path / "CNAME").write_text("zero3.example")
    written = publish_quietly(atlas_of(cell(*four(BERT), environment=pair("5.6.0"))), tmp_path)
    assert written.removed
    assert not (tmp_path / links.architecture(ROUTER)).exists()
    assert not (tmp_path / links.twin(links.architecture(ROUTER))).exists()
    assert (tmp_path / "CNAME").exists()


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(NotASiteError):
        publish_quietly(small(), tmp_path)
    assert list(files(tmp_path)) == ["thesis.tex"]


def test_the_start_page_is_the_last_to_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_quietly(small(), tmp_path)
    before = (tmp_path / links.START).read_bytes()

    def interrupted(*_: object) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publish, "finding_pages", interrupted)
        with pytest.raises(KeyboardInterrupt):
            publish_quietly(atlas_of(cell(*four(BERT), environment=pair("5.6.0"))), tmp_path)
    assert (tmp_path / links.START).read_bytes() == before
    assert (tmp_path / links.architecture(ROUTER)).exists()


def test_a_page_that_was_left_half_written_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_quietly(small(), tmp_path)
    about = tmp_path / links.ABOUT
    whole = about.read_bytes()

    def interrupted(place: str, content: bytes) -> None:
        write(place, content[:100] if place == str(about) else content)
        if place == str(about):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("bot.site.folder.write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            publish_quietly(atlas_of(cell(*four(BERT), environment=pair("5.6.0"))), tmp_path)
    assert len(about.read_bytes()) == 100
    publish_quietly(small(), tmp_path)
    assert about.read_bytes() == whole


def test_a_page_of_cases_that_cannot_be_written_is_told_in_words(tmp_path: Path) -> None:
    name = pair("5.6.0").id
    (tmp_path / MARKER).touch()
    (tmp_path / links.cases(name, BERT)).mkdir(parents=True)
    with pytest.raises(OutputError, match="Is a directory"):
        publish_quietly(small(), tmp_path)
    assert (tmp_path / MARKER).read_text() == "", "so all pages will be made anew"


def test_what_is_made_of_an_atlas_can_be_handed_to_another_process(tmp_path: Path) -> None:
    """As where processes are not forked, and from Python 3.14 on everywhere."""
    cases = publish._of_cases(small(), None, begun(tmp_path))
    parts = [*publish._of_architectures(small()), *publish._of_environments(small()), *cases]
    handed = pickle.loads(pickle.dumps(parts))  # noqa: S301 - our own
    assert [[*part()] for part in handed] == [[*part()] for part in parts]


def test_other_templates_make_every_page_anew(tmp_path: Path) -> None:
    publish_quietly(small(), tmp_path)
    page = tmp_path / links.ABOUT
    page.write_text("of an older template")
    publish_quietly(small(), tmp_path)
    assert page.read_text() == "of an older template"  # its JSON is the same, so it is believed to be current
    (tmp_path / MARKER).write_text("another digest")
    publish_quietly(small(), tmp_path)
    assert page.read_text().startswith("<!doctype html>")


def test_a_history_gives_strips_changes_and_withdrawn_verdicts(tmp_path: Path) -> None:
    kept = Folder(tmp_path)
    kept.keep(0, cell(case(ROUTER, Verdict.CORRUPT), environment=NEW))
    kept.keep(1, cell(case(ROUTER), environment=NEW))
    kept.build()
    site_of_history(Sources(kept.records, kept.database), tmp_path / "out", {}, lambda _: None)
    told = json.loads((tmp_path / "out" / links.twin(links.cases(NEW.id, ROUTER))).read_bytes())
    assert [(segment["verdict"], segment["nights"]) for segment in told["cases"][0]["strip"]] == [
        ("corrupt", 1),
        ("pass", 1),
    ]
    start = json.loads((tmp_path / "out/index.json").read_bytes())
    assert [(change["before"], change["after"]) for change in start["changes"]] == [("corrupt", "pass")]
    assert json.loads((tmp_path / "out/about.json").read_bytes())["tally"]["withdrawn"] == 1


def test_record_files_that_do_not_count_are_told(tmp_path: Path) -> None:
    kept = Folder(tmp_path)
    kept.keep(0, cell(case(ROUTER), environment=NEW))
    told: list[str] = []
    sources, out = Sources(kept.records, kept.database), tmp_path / "out"
    site_of_history(sources, out, {}, told.append)
    assert "not count" not in "".join(told) + (out / links.ABOUT).read_text(encoding="utf-8")
    for name in ("damaged", "damaged too"):
        kept.put(f"{day(0)}/{name}.jsonl.gz", b"no records")
    site_of_history(sources, out, {}, told.append)
    command = f"python -m matrix history {kept.records} --database {kept.database}"
    assert f"2 record files do not count: {command} names each and why" in told
    assert "Of its record files, 2 did not count" in (out / links.ABOUT).read_text(encoding="utf-8")


def test_a_verdict_is_not_withdrawn_when_the_inputs_changed(tmp_path: Path) -> None:
    kept = Folder(tmp_path)
    kept.keep(0, cell(case(ROUTER, Verdict.CORRUPT), environment=NEW))
    kept.keep(1, replace(cell(case(ROUTER), environment=NEW), probe="sha256:other"))
    kept.build()
    with opened(kept.database) as history:
        assert withdrawn(history) == 0


def test_a_page_that_was_lost_is_made_again(tmp_path: Path) -> None:
    publish_quietly(small(), tmp_path)
    lost = tmp_path / links.cases(pair("5.6.0").id, BERT)
    lost.unlink()
    assert publish_quietly(small(), tmp_path).changed == 1
    assert lost.exists()


def test_cases_are_told_anew_when_a_night_is_added_to_their_strips(tmp_path: Path) -> None:
    kept = Folder(tmp_path)
    for number, verdict in enumerate([Verdict.PASS, Verdict.PASS]):
        kept.keep(number, cell(case(ROUTER, verdict), environment=NEW))
        site_of_history(Sources(kept.records, kept.database), tmp_path / "out", {}, lambda _: None)
        html = (tmp_path / "out" / links.cases(NEW.id, ROUTER)).read_text(encoding="utf-8")
        assert ("The last 2 nights" in html, 'class="history"' in html) == (bool(number), bool(number))
    told = json.loads((tmp_path / "out" / links.twin(links.cases(NEW.id, ROUTER))).read_bytes())
    assert [segment["nights"] for segment in told["cases"][0]["strip"]] == [2]


def test_cases_are_told_anew_when_their_records_are_others(tmp_path: Path) -> None:
    kept = Folder(tmp_path)
    for buffers in (1, 2):
        kept.keep(0, cell(replace(case(ROUTER), tensors=Tensors(buffers)), environment=NEW))
        site_of_history(Sources(kept.records, kept.database), tmp_path / "out", {}, lambda _: None)
        told = json.loads((tmp_path / "out" / links.twin(links.cases(NEW.id, ROUTER))).read_bytes())
        assert told["cases"][0]["tensors"]["buffers"] == buffers


def test_a_site_before_its_first_night_shows_no_date(tmp_path: Path) -> None:
    publish_quietly(atlas_of(), tmp_path)
    for path, page in pages(tmp_path):
        assert not page.all("datetime"), path
        assert json.loads((tmp_path / links.twin(path)).read_bytes())["night"] is None, path


def test_the_feed_is_named_after_who_publishes_it(tmp_path: Path) -> None:
    publish_quietly(atlas_of(cell(*four()), publisher=Publisher("acme.github.io")), tmp_path / "site")
    assert "tag:acme.github.io,2026:changes" in (tmp_path / "site/feed.atom").read_text(encoding="utf-8")

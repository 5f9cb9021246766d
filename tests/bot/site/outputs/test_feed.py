"""The Atom feed: valid, few entries however much changed, the same names for ever, hostile text inert."""

import re
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer import BadParameter
from typer.testing import CliRunner

from bot.__main__ import app
from bot.commands.dashboard import site_address
from bot.render import render_feed
from bot.site.build import fetch_recent_changes
from bot.site.data.publisher import Publisher
from bot.site.outputs.feed import ENTRIES, LISTED, Feed, build_feed
from matrix.errors import USAGE
from matrix.history.changes import VerdictChange
from matrix.history.database import open_database
from matrix.model import CaseKey, Check, Loader
from matrix.verdicts import Verdict
from tests.support.history.folder import FIRST, NEW, OLD, Folder, day
from tests.support.runs import BERT, ROUTER, case, cell

ATOM = "{http://www.w3.org/2005/Atom}"
XHTML = "{http://www.w3.org/1999/xhtml}"
TEXT = "<script>alert(1)</script>&\0\x0b\ud800\uffff]]>\u202e"


def change(
    architecture: str = ROUTER,
    *,
    before: Verdict | None = Verdict.PASS,
    after: Verdict = Verdict.CRASH,
    night: date = FIRST,
    environment: str = OLD.id,
) -> VerdictChange:
    return VerdictChange(environment, CaseKey(architecture, Loader.STOCK, Check("load")), before, after, night)


def parsed(told: Feed) -> ET.Element:
    return ET.fromstring(render_feed(told).encode())  # noqa: S314 - our own


def text(element: ET.Element, name: str) -> str:
    return element.findtext(f"{ATOM}{name}") or ""


def test_a_feed_has_all_that_atom_requires() -> None:
    root = parsed(
        build_feed(
            [change(), change(BERT), change(night=day(1), after=Verdict.CORRUPT)], day(1), Publisher("example.org")
        )
    )
    assert root.tag == f"{ATOM}feed"
    for element in (root, *root.findall(f"{ATOM}entry")):
        assert re.fullmatch(r"tag:example\.org,20\d\d(-\d\d-\d\d)?:[a-z_-]+", text(element, "id"))
        assert text(element, "title")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", text(element, "updated"))
        assert element.find(f"{ATOM}link[@rel='alternate']") is not None
    assert root.findtext(f"{ATOM}author/{ATOM}name")
    ids = [text(entry, "id") for entry in root.iter(f"{ATOM}entry")]
    assert ids == ["tag:example.org,2026-11-23:pass-corrupt", "tag:example.org,2026-11-22:pass-crash"]


def test_cases_that_changed_alike_in_a_night_are_one_entry() -> None:
    many = [change(f"m{number}:M", environment=environment) for number in range(250) for environment in ("a", "b")]
    (entry,) = build_feed(many, FIRST).entries
    assert entry.title == "500 cases went from pass to crash in 2 environments"
    assert [(len(line.architectures), line.more) for line in entry.lines] == [(LISTED, 250 - LISTED)] * 2


def test_what_got_worse_comes_before_what_recovered_and_what_is_new() -> None:
    told = [
        change(after=Verdict.PASS, before=None),
        change(after=Verdict.PASS, before=Verdict.CRASH),
        change(after=Verdict.CORRUPT),
    ]
    titles = [entry.title.partition(" in ")[0] for entry in build_feed(told, FIRST).entries]
    assert titles == [
        "1 case went from pass to corrupt",
        "1 case went from crash to pass",
        "1 case measured for the first time: pass",
    ]


def test_the_newest_entries_stay() -> None:
    told = build_feed([change(night=day(number)) for number in range(ENTRIES + 9)], day(99))
    assert [entry.night for entry in told.entries] == [day(number) for number in range(ENTRIES + 8, 8, -1)]


def test_an_entry_in_one_environment_links_to_its_page() -> None:
    (entry,) = build_feed([change(environment="transformers-5.5.4+cpu")], FIRST).entries
    assert entry.title == "1 case went from pass to crash in transformers-5.5.4+cpu"
    assert entry.page == "environments/transformers-5.5.4,cpu.html"
    both = build_feed([change(environment="a"), change(environment="b")], FIRST)
    assert both.entries[0].page == "index.html"


@pytest.mark.parametrize(
    ("address", "root"),
    [
        ("https://example.org/zero3-matrix", "https://example.org/zero3-matrix/"),
        ("https://example.org/", "https://example.org/"),
        ("", ""),
    ],
)
def test_links_are_absolute_where_the_address_is_known(address: str, root: str) -> None:
    told = build_feed([change(environment="a"), change(environment="b")], FIRST, Publisher(address=address))
    assert [(link.get("rel"), link.get("href")) for link in parsed(told).iter(f"{ATOM}link")] == [
        ("self", f"{root}feed.atom"),
        ("alternate", f"{root}index.html"),
        ("alternate", f"{root}index.html"),
    ]
    assert [link.get("href") for link in parsed(told).iter(f"{XHTML}a")] == [
        f"{root}environments/a.html",
        f"{root}environments/b.html",
    ]


@pytest.mark.parametrize(("address", "root"), [("https://example.org/zero3", "https://example.org/zero3/"), ("", "")])
def test_the_command_is_told_where_the_site_will_be(tmp_path: Path, address: str, root: str) -> None:
    (folder := Folder(tmp_path)).keep(0, cell(case(ROUTER)))
    command = ["dashboard", "--history", str(folder.records), "--out", str(tmp_path / "site")]
    done = CliRunner().invoke(app, command, env={"ZERO3_ADDRESS": address}, catch_exceptions=False)
    assert not done.exit_code, done.output
    assert f'rel="self" type="application/atom+xml" href="{root}feed.atom"' in (tmp_path / "site/feed.atom").read_text()


@pytest.mark.parametrize("address", ["example.org", "/zero3", "ftp://example.org", "https://", "https://a.b/?c"])
def test_what_is_no_address_of_a_site_is_told(tmp_path: Path, address: str) -> None:
    with pytest.raises(BadParameter, match="not the address of a site, such as https://"):
        site_address(address)
    (folder := Folder(tmp_path)).keep(0, cell(case(ROUTER)))
    command = ["dashboard", "--history", str(folder.records), "--out", str(tmp_path / "site"), "--address", address]
    assert CliRunner().invoke(app, command).exit_code == USAGE
    assert not (tmp_path / "site").exists()


def test_nothing_changed_is_a_valid_feed_too() -> None:
    root = parsed(build_feed([], FIRST))
    assert text(root, "updated") == "2026-11-22T00:00:00Z"
    assert not root.findall(f"{ATOM}entry")


def test_each_night_of_a_history_is_told_apart(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.keep(0, cell(case(ROUTER), environment=OLD), cell(case(ROUTER), environment=NEW))
    folder.keep(1, cell(case(ROUTER, Verdict.CORRUPT), environment=NEW))
    folder.keep(2, cell(case(ROUTER), environment=NEW))
    folder.build()
    with open_database(folder.database) as history:
        every, last = fetch_recent_changes(history), fetch_recent_changes(history, 1)
    assert [(one.night, one.before, one.after) for one in every if one.before] == [
        (day(1), Verdict.PASS, Verdict.CORRUPT), (day(2), Verdict.CORRUPT, Verdict.PASS)]  # fmt: skip
    assert [one.environment for one in every if one.before is None] == [NEW.id, OLD.id]
    assert last == every[-1:]


def test_hostile_text_is_inert() -> None:
    root = parsed(build_feed([change(TEXT, environment=TEXT)], FIRST))
    (entry,) = root.iter(f"{ATOM}entry")
    (name,) = entry.iter(f"{XHTML}code")
    assert name.text is not None
    assert name.text.startswith("<script>alert(1)</script>&\\x00\\x0b\\ud800\\uffff]]>\\u202e")
    assert not list(name)
    assert {element.tag.partition("}")[2] for element in entry.iter()} <= {
        "entry", "id", "title", "updated", "link", "content", "div", "ul", "li", "a", "code"}  # fmt: skip
    links = [element.get("href") for element in entry.iter() if "href" in element.attrib]
    assert len(links) == 2
    assert all(re.fullmatch(r"environments/[\w-]+\.html", link or "") for link in links)


def test_an_entry_lists_places_and_names_in_their_order_and_counts_what_it_leaves_out() -> None:
    places = [f"e{number:02}" for number in range(LISTED + 5)]
    told = [change(name, before=None, environment=place) for place in reversed(places) for name in ("b:B", "a:A")]
    (entry,) = build_feed(told, FIRST).entries
    assert entry.id.endswith(",2026-11-22:new-crash")
    assert ([line.environment for line in entry.lines], entry.more) == (places[:LISTED], 5)
    assert {(line.how, line.architectures, line.more) for line in entry.lines} == {
        ("stock, load in float32", ("a:A", "b:B"), 0)
    }
    assert build_feed([change()], FIRST).entries[0].more == 0

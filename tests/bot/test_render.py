import base64
import hashlib
import io
import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from bot.render import render
from bot.report.build import build_report
from bot.report.context import Report
from bot.report.terminal import print_report
from bot.text import render_markdown_code, render_markdown_fence
from matrix.checks import DEFAULT
from matrix.model import Cell, Kind, Loader, Run
from matrix.results.records import case_record, end_record, header_record
from matrix.verdicts import Verdict
from tests.support.reports import a_report, hostile_report
from tests.support.runs import BERT, RESOLVER, case, cell, finding, info


class Page(HTMLParser):
    """The tags of a page, with what must be looked at in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, attribute: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(attribute)) is not None]


def test_hostile_text_is_inert_in_html() -> None:
    html = render("report.html", hostile_report())
    plain = Page(render("report.html", a_report()))
    page = Page(html)
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags} | {"pre"}
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert set(page.all("href")) <= {f"#{anchor}" for anchor in page.all("id")}
    assert not re.search("[\\x00\\x1b\u202a-\u202e\u2066-\u2069\ud800-\udfff]", html)
    assert "{{ 7*7 }}" in html


def test_hostile_text_is_inert_in_markdown() -> None:
    markdown = render("report.md", hostile_report())
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    flat = [*tokens, *(child for token in tokens for child in token.children or [])]
    assert not {token.type for token in flat} & {"link_open", "image"}
    html = "".join(token.content for token in flat if token.type in {"html_block", "html_inline"})
    assert set(re.findall(r"<[^>]*>", html)) <= {
        "<details>",
        "</details>",
        "<summary>",
        "</summary>",
        "<code>",
        "</code>",
    }
    assert html.count("<details>") == html.count("</details>") == 1
    outside = "".join(
        re.sub("`[^`]*`|<code>.*?</code>", "", token.content)
        for token in tokens
        if token.type in {"inline", "html_block"}
    )
    assert not re.search("[@#<>\x00\x1b\u202e\ud800]", re.sub("</?(details|summary)>", "", outside))
    headings = [
        token.content for token, before in zip(tokens[1:], tokens, strict=False) if before.type == "heading_open"
    ]
    assert headings == ["ZeRO-3 matrix", "Not measured", "Worst findings", "Cases that do not pass", "Coverage"]


@pytest.mark.parametrize(
    "name", ["plain", "a|b", "a\\|b", "`", "a``b", " ", "x\ny", "@me #1 www.a.b http://a.b", "</code>"]
)
def test_a_name_fills_its_markdown_cell_and_nothing_else(name: str) -> None:
    table = f"| a | b |\n| --- | --- |\n| {render_markdown_code(name)} | after |\n"
    tokens = MarkdownIt("commonmark").enable("table").parse(table)
    first, second = (token for before, token in itertools.pairwise(tokens) if before.type == "td_open")
    assert second.content == "after"
    children = first.children or []
    assert "".join(one.content for one in children if one.type != "html_inline").strip() == " ".join(name.split())


def test_a_fence_is_longer_than_what_it_holds() -> None:
    assert render_markdown_fence("a ```` b") == "`````sh\na ```` b\n`````"


@pytest.mark.parametrize("context", [a_report(), hostile_report()])
def test_every_row_of_a_markdown_table_has_the_cells_of_its_head(context: Report) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(render("report.md", context))
    rows = "".join(
        {"tr_open": "\n", "table_open": "\n\n", "td_open": "x", "th_open": "x"}.get(t.type, "") for t in tokens
    )
    tables = [table.split() for table in rows.split("\n\n") if table.strip()]
    assert len(tables) == 2
    assert all(len(table) >= 2 and len(set(table)) == 1 for table in tables)


def test_every_link_of_the_page_leads_somewhere_in_it() -> None:
    page = Page(render("report.html", a_report()))
    anchors = page.all("id")
    assert len(anchors) == len(set(anchors))
    assert {link.removeprefix("#") for link in page.all("href")} <= set(anchors)
    assert not page.all("src") + page.all("style") + page.all("onclick")


def test_m5_the_policy_allows_exactly_the_inline_style_and_script() -> None:
    html = render("report.html", a_report())
    (policy,) = [content for content in Page(html).all("content") if "default-src" in content]
    for tag in ("style", "script"):
        (body,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_heat_cell_says_its_verdict_without_colour() -> None:
    html = render("report.html", a_report())
    (corrupt,) = re.findall(r'<a class="v-corrupt"[^>]*>C</a>', html)
    assert 'aria-label="load float32: corrupt"' in corrupt
    assert 'title="load float32: corrupt, 1 wrong tensor"' in corrupt


def test_a_passing_cell_leads_to_what_was_compared() -> None:
    html = render("report.html", build_report(Run((cell(case(BERT)),))))
    (anchor,) = re.findall(r'<a class="v-pass" href="#([^"]+)"', html)
    detail = html[: html.index(f'<li id="{anchor}"')].rpartition('<div class="evidence">')[2]
    assert "2 buffers, 33 parameters and 2 non-persistent buffers compared" in detail


@pytest.mark.parametrize("name", ["report.html", "report.md"])
def test_what_was_not_measured_is_said(name: str) -> None:
    text = render(name, a_report())
    assert "incomplete: 3 of 9 planned cases measured" in text
    assert "so your requirements are unsatisfiable" in text
    assert "could not be measured" in text


@pytest.mark.parametrize(
    ("name", "buffers"),
    [
        ("report.html", "</summary><p><code>Codebook.embed</code>, <code>Loss.weight</code></p>"),
        ("report.md", ": `Codebook.embed`, `Loss.weight`\n"),
    ],
)
def test_buffers_that_no_model_has_are_told_with_the_coverage(name: str, buffers: str) -> None:
    assert f"2 buffers registered in the sources but found in no model{buffers}" in render(name, a_report())


def big_cell(version: int) -> Cell:
    """60 architectures, both loaders and checks, all of it wrong, each in its own way."""
    cases = []
    for number, (architecture, loader, check) in enumerate(itertools.product(range(60), Loader, DEFAULT.checks)):
        values = (0.296875 + version, 0.1171875, 1.25 + number, 2.5)
        names = [f"model.encoder.layers.{layer}.block.norm.running_mean" for layer in range(60)]
        kinds = itertools.cycle((Kind.INIT_VALUE, Kind.ZEROS, Kind.GARBAGE))
        wrong = [finding(name, kind=next(kinds), expected=values, actual=values[::-1]) for name in names]
        name = f"model_type_{architecture}:Model{architecture}ForConditionalGeneration"
        cases.append(case(name, Verdict.CORRUPT, loader=loader, check=check, findings=tuple(wrong)))
    return cell(*cases, environment=info(f"5.{version}.0"))


def test_the_worst_report_still_opens_at_once() -> None:
    context = build_report(Run(tuple(map(big_cell, range(5)))))
    assert len(render("report.html", context).encode()) < 3_000_000
    assert len(render("report.md", context).encode()) < 1_500_000


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    coloured, plain, pipe = Terminal(), Terminal(), io.StringIO()
    print_report(a_report(), coloured)
    print_report(a_report(), pipe)
    monkeypatch.setenv("NO_COLOR", "1")
    print_report(a_report(), plain)
    colour = re.compile(r"\x1b\[[0-9;]*3[0-7]m")
    assert colour.search(coloured.getvalue())
    assert not colour.search(plain.getvalue())
    assert "\x1b" not in pipe.getvalue()


def test_the_terminal_says_what_counts_and_hides_no_verdict_when_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in ("200", "40"):
        monkeypatch.setenv("COLUMNS", columns)
        file = io.StringIO()
        print_report(a_report(), file)
        words = " ".join(file.getvalue().split())
        assert "corrupt" in words
        assert "pass" in words
        assert "deepseek_v3:DeepseekV3ForCausalLM loads wrong values silently" in words
        assert "so your requirements are unsatisfiable" in words
        assert "2 buffers registered in the sources but found in no model: Codebook.embed and Loss.weight" in words
        assert "--architecture 'deepseek_v3:DeepseekV3ForCausalLM' --loader stock --check load" in words


def test_hostile_text_cannot_drive_the_terminal() -> None:
    file = io.StringIO()
    print_report(hostile_report(), file)
    assert not re.search("[\x00\x1b\r\u202e\ud800]", file.getvalue())


def run_bot(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bot", "report", str(directory), *options]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


def write(path: Path, written: Cell) -> None:
    lines = [header_record(written), *(case_record(one) for one in written.cases)]
    lines += [end_record(written.cases, written.timing)] if written.complete else []
    path.write_text("\n".join(lines) + "\n")


def test_reports_are_written_and_wrong_values_do_not_fail_them(tmp_path: Path) -> None:
    write(tmp_path / "one.jsonl", cell(case(verdict=Verdict.CORRUPT)))
    done = run_bot(tmp_path, "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-2:] == [str(tmp_path / "out" / name) for name in ("report.html", "report.md")]
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")


def test_an_environment_failure_exits_with_3(tmp_path: Path) -> None:
    write(tmp_path / "one.jsonl", cell(planned=4, error=RESOLVER))
    assert run_bot(tmp_path).returncode == 3
    assert (tmp_path / "report.md").exists()


def test_no_results_is_one_line_and_exit_2(tmp_path: Path) -> None:
    done = run_bot(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1

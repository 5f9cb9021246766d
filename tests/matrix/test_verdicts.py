"""A verdict is one row of one table: whatever else knows of it takes it from there."""

import json
from pathlib import Path

import pytest

from matrix.model import Case, Failure, Tensors
from matrix.results.write import append
from matrix.verdicts import Verdict
from tests.support.command_line import copy_tree, python
from tests.support.runs import ROUTER, case, cell

ROW = """
    ODD = (
        "odd",
        VerdictRow(
            letter="O",
            word="oddly wrong",
            meaning="a made-up verdict",
            does="{load} odd values",
            fares=("are odd", "is odd"),
            own="odd values",
            style="red",
            badge="purple",
            light=("#123456", "#fff"),
            dark=("#654321", "#fff"),
            evidence=("findings",),
            outcome="odd",
            wrong=True,
        ),
    )
    REPORTED = ("""
HIDDEN = """
    HIDDEN = (
        "hidden",
        VerdictRow(
            letter="Y",
            word="not for it",
            meaning="a made-up verdict of what has nothing to measure",
            does="have nothing to {load}",
            fares=("have nothing", "has nothing"),
            own="nothing",
            style="dim",
            badge="lightgrey",
            light=("#112233", "#fff"),
            dark=("#332211", "#fff"),
            evidence=("error",),
            settled=True,
            measured=False,
        ),
    )
    UNSUPPORTED = ("""
STRICT = """
import pathlib, sys
from bot.untrusted.consistency import find_contradiction
from bot.untrusted.strict_records import parse_cell
(case,) = parse_cell(pathlib.Path(sys.argv[1]).read_bytes()).cases
print(case.verdict.row.word, find_contradiction(case, 2) or "believed")
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project with two verdicts more, and results with one case of each: `results` and `hidden`."""
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    table = tree / "matrix/verdicts.py"
    rows = table.read_text(encoding="utf-8").replace("\n    REPORTED = (", ROW).replace("\n    UNSUPPORTED = (", HIDDEN)
    table.write_text(rows, encoding="utf-8")
    write(tree / "results/one.jsonl", case(ROUTER, Verdict.CORRUPT), "odd")
    error = Failure("NothingToDo", "it has no head")
    write(tree / "hidden/one.jsonl", case(ROUTER, Verdict.UNSUPPORTED, tensors=Tensors(), error=error), "hidden")
    return tree


def write(results: Path, one: Case, verdict: str) -> None:
    """Writes results with `one` case, which gets another verdict."""
    results.parent.mkdir()
    whole = cell(one)
    with append(results) as writer:
        writer.header(whole)
        writer.case(one)
        writer.end(whole.cases, whole.timing)
    text = results.read_text(encoding="utf-8").replace(f'"{one.verdict}"', f'"{verdict}"')
    results.write_text(text, encoding="utf-8")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_a_record_with_a_new_verdict_is_valid_and_believed(tree: Path) -> None:
    assert "odd" in json.loads(python(tree, "-m", "matrix", "schema"))["$defs"]["Verdict"]["enum"]
    assert python(tree, "-c", STRICT, "results/one.jsonl") == "oddly wrong believed\n"


def test_a_new_verdict_is_in_every_report(tree: Path) -> None:
    printed = python(tree, "-m", "bot", "report", "results")
    assert "1 oddly wrong" in printed
    assert "loads odd values" in printed
    assert "oddly wrong" in read(tree / "results/report.md")
    html = read(tree / "results/report.html")
    assert "a made-up verdict" in html
    assert ".v-odd { background: var(--odd);" in html
    assert "--odd: #123456;" in html


def test_a_new_verdict_is_on_the_site_in_its_badges_and_in_the_api(tree: Path) -> None:
    python(tree, "-m", "bot", "dashboard", "--results", "results", "--out", "site")
    assert "a made-up verdict" in read(tree / "site/about.html")
    assert "odd in transformers 5.5.4" in read(next((tree / "site/architectures").glob("deepseek_v3*.html")))
    assert "--odd: #123456;" in read(tree / "site/site.css")
    assert json.loads(read(tree / "site/badges/project.json"))["color"] == "purple"
    listed = [entry["verdict"] for entry in json.loads(read(tree / "site/api/v1/index.json"))["verdicts"]]
    assert listed[:4] == ["corrupt", "narrowed", "odd", "reported"]
    assert json.loads(read(next((tree / "site/api/v1/architectures").glob("*.json"))))["cases"][0]["verdict"] == "odd"


def test_a_verdict_of_what_has_nothing_to_measure_is_not_failing_in_a_report(tree: Path) -> None:
    python(tree, "-m", "bot", "report", "hidden")
    html = read(tree / "hidden/report.html")
    assert "a made-up verdict of what has nothing to measure" in html
    assert not [words for words in (" compared", "seen in", '<pre class="command">') if words in html]
    assert ".v-odd," in html
    assert ".v-hidden," not in html
    assert "| load in float32 | not for it |" not in read(tree / "hidden/report.md")


def test_a_verdict_of_what_has_nothing_to_measure_is_not_failing_on_the_site(tree: Path) -> None:
    python(tree, "-m", "bot", "dashboard", "--results", "hidden", "--out", "hidden-site")
    (page,) = (tree / "hidden-site/cases").glob("*/deepseek_v3*.html")
    assert not [words for words in (" compared", "was seen in", '<pre class="command">') if words in read(page)]
    failing = read(tree / "hidden-site/site.js").partition('const failing = "')[2].partition('"')[0].split()
    assert failing[:3] == ["corrupt", "narrowed", "odd"]
    assert not {"hidden", "unsupported", "pass"} & set(failing)
    assert 'const unmeasured = "hidden unsupported "' in read(tree / "hidden-site/site.js")
    assert json.loads(read(tree / "hidden-site/badges/project.json"))["message"] == "untested"
    assert "1 not in these versions" in read(next((tree / "hidden-site/environments").glob("t*.html")))


def test_a_new_verdict_is_in_the_documents(tree: Path) -> None:
    python(tree, "-m", "bot", "documents")
    assert "| `odd` | a made-up verdict |" in read(tree / "README.md")
    assert all('"odd"' in read(tree / f"docs/{name}.schema.json") for name in ("records", "api"))

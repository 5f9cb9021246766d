"""A verdict is one row of one table: whatever else knows of it takes it from there."""

import json
from pathlib import Path

import pytest

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
STRICT = """
import pathlib, sys
from bot.untrusted.consistency import find_contradiction
from bot.untrusted.strict_records import parse_cell
(case,) = parse_cell(pathlib.Path(sys.argv[1]).read_bytes()).cases
print(case.verdict.row.word, find_contradiction(case, 2) or "believed")
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project with one verdict more, and results with one case of it."""
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    table, results = tree / "matrix/verdicts.py", tree / "results/one.jsonl"
    table.write_text(table.read_text(encoding="utf-8").replace("\n    REPORTED = (", ROW), encoding="utf-8")
    results.parent.mkdir()
    whole = cell(case(ROUTER, Verdict.CORRUPT))
    with append(results) as writer:
        writer.header(whole)
        writer.case(whole.cases[0])
        writer.end(whole.cases, whole.timing)
    results.write_text(results.read_text(encoding="utf-8").replace('"corrupt"', '"odd"'), encoding="utf-8")
    return tree


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
    assert listed[:3] == ["corrupt", "odd", "reported"]
    assert json.loads(read(next((tree / "site/api/v1/architectures").glob("*.json"))))["cases"][0]["verdict"] == "odd"


def test_a_new_verdict_is_in_the_documents(tree: Path) -> None:
    python(tree, "-m", "bot", "documents")
    assert "| `odd` | a made-up verdict |" in read(tree / "README.md")
    assert all('"odd"' in read(tree / f"docs/{name}.schema.json") for name in ("records", "api"))

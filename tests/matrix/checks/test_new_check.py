"""A check is one file: whatever else knows of it takes it from there."""

import json
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from tests.support.command_line import copy_tree, python
from tests.support.runs import ROUTER
from tests.support.stand_in_probe import StandIn

FILE = '''"""A made-up check. Its name begins as `save` does."""

from matrix.check_protocol import CheckDescription, CheckResult, CheckSession, CheckWords


def run(session: CheckSession) -> CheckResult:
    """Finds nothing."""
    return CheckResult()


CHECK = CheckDescription(
    words=CheckWords("shard", "sharding", "made_up_call", "a made-up check"), run=run, after=("load",)
)
'''
PROBE = "environment(); [case(key, 'crash' if key[2] == 'sharded' else 'pass') for key in keys]; end()"
MEASURE = "-m matrix run --out results --device cpu --architecture {name} --python {python} --confirmations 0 --precision float32 --check load,save,sharded"
OLD = """
import sys
from datetime import date
from matrix.advice.safety import Tried
from matrix.model import Check, Device, Loader, Variant
from matrix.verdicts import Verdict
measured = {Variant(Loader.STOCK, Check(name)): Verdict(verdict) for name, verdict in (one.split("=") for one in sys.argv[1:])}
tried = Tried("e", "5.6.0", "0.19.8", Device.CPU, date(2026, 11, 22), measured)
print(tried.answer(Loader.STOCK))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project with one check more, and results in which it crashes."""
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    (tree / "matrix/checks/sharded.py").write_text(FILE, encoding="utf-8")
    stand_in = StandIn(tmp_path_factory.mktemp("probe"), PROBE)
    with pytest.raises(CalledProcessError) as measured:
        python(tree, *MEASURE.format(name=ROUTER, python=stand_in.path).split())
    assert measured.value.returncode == 1, measured.value.stderr
    return tree


def order(tree: Path) -> list[str]:
    return python(tree, "-c", "from matrix.checks import CHECKS; print(*CHECKS)").split()


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_a_new_check_is_offered_and_measured(tree: Path) -> None:
    assert "sharded" in python(tree, "-m", "matrix", "run", "--help")
    (results,) = (tree / "results").glob("*.jsonl")
    cases = [json.loads(line) for line in read(results).splitlines() if '"case"' in line]
    made = [check for check in order(tree) if check in ("load", "save", "sharded")]
    assert [case["check"] for case in cases if case["loader"] == "stock"] == made
    assert "sharded" in json.loads(python(tree, "-m", "matrix", "schema"))["$defs"]["Check"]["enum"]


def test_a_new_check_is_in_every_report(tree: Path) -> None:
    printed = python(tree, "-m", "bot", "report", "results")
    assert "crashes while sharding" in printed
    assert "| sharded in float32 | crash |" in read(tree / "results/report.md")
    html = read(tree / "results/report.html")
    assert "stock-sharded" in html
    assert "stock-save" in html


def test_a_new_check_is_on_the_site(tree: Path) -> None:
    python(tree, "-m", "bot", "dashboard", "--results", "results", "--out", "site")
    assert "a made-up check" in read(tree / "site/about.html")
    assert (tree / "site/heat/cpu-stock-sharded.html").exists()
    (page,) = (tree / "site/cases").glob("*/deepseek_v3*.html")
    assert 'id="stock-sharded"' in read(page)


def test_a_new_check_is_in_the_tables_of_architectures(tree: Path) -> None:
    python(tree, "-m", "bot", "dashboard", "--results", "results", "--out", "site")
    table = read(tree / "site/architectures/index.html")
    checks = [check for check in order(tree) if check in ("load", "save", "sharded")]
    assert "sharded" in checks
    assert table.count(f"<small>{' '.join(checks)}</small>") == 2
    _, stock, fixed = (cell.partition("</td>")[0] for cell in table.partition("<tbody>")[2].split("<td>")[:3])
    assert [check for check in checks if f'title="stock {check} float32: ' in stock] == checks
    assert "stock" not in fixed
    (page,) = (tree / "site/architectures").glob("deepseek_v3*.html")
    assert f"A cell shows {', '.join(checks)}, from left to right, in float32." in read(page)
    assert "sharded calls <code>made_up_call</code>" in read(tree / "site/about.html")


def test_a_new_check_is_in_the_documents(tree: Path) -> None:
    python(tree, "-m", "bot", "documents")
    assert "| `sharded` | a made-up check | no |" in read(tree / "docs/how-it-works.md")
    assert '"sharded"' in read(tree / "docs/records.schema.json")


@pytest.mark.parametrize(
    ("measured", "answer"),
    [
        (("load=pass", "save=pass"), "safe"),
        (("load=pass", "save=pass", "sharded=pass"), "safe"),
        (("load=pass", "save=pass", "sharded=corrupt"), "unsafe"),
        (("load=pass", "sharded=pass"), "unknown"),
    ],
)
def test_what_was_measured_before_stays_safe_where_safe_does_not_need_the_check(
    tree: Path, measured: tuple[str, ...], answer: str
) -> None:
    assert python(tree, "-c", OLD, *measured) == f"{answer}\n"

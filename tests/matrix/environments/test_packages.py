"""A package is one table of packages.toml: whatever else knows of it is derived from the file."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.loading_code.rules import find_rules
from matrix.environments.packages import CROSSED, PACKAGES, RECORDED, TIPS, load_packages
from matrix.environments.spec import Environment
from matrix.errors import DataFileError
from matrix.model import EnvironmentInfo
from tests.support.command_line import copy_tree, python

TABLE = '\n[made-up]\nrepository = "someone/Made-Up"\ntip = true\n'
COMMIT = "a" * 40


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project with one package more."""
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    (tree / "results").mkdir()
    with (tree / "matrix/environments/packages.toml").open("a") as file:
        file.write(TABLE)
    return tree


@pytest.fixture(scope="module")
def facts(tree: Path) -> dict[str, Any]:
    """What the copy knows of the new package."""
    found: dict[str, Any] = json.loads(python(tree, "-m", "tests.support.packages.facts"))
    return found


def test_a_new_package_can_be_pinned_by_its_variable(tree: Path, facts: dict[str, Any]) -> None:
    assert facts["id"].endswith("+made-up-1.2.3")
    assert "made-up==1.2.3" in facts["requirements"]
    assert facts["same"]
    listed = python(tree, "-m", "nox", "-l", "--json", "-k", "not unknown", ZERO3_MADE_UP="1.2.3")
    assert f"zero3_matrix({facts['id']})" in {session["name"] for session in json.loads(listed)}


def test_a_new_package_is_in_records_report_and_site(tree: Path, facts: dict[str, Any]) -> None:
    assert facts["packages"] == {"made-up": "1.2.3"}
    python(tree, "-m", "bot", "report", "results")
    python(tree, "-m", "bot", "dashboard", "--results", "results", "--out", "site")
    (page,) = (tree / "site/environments").glob("*made-up-1.2.3*.html")
    for shown in (page, tree / "results/report.html"):
        assert "<code>made-up==1.2.3</code>" in shown.read_text(encoding="utf-8")


def test_pull_requests_of_a_new_package_are_watched_and_planned(facts: dict[str, Any]) -> None:
    assert facts["watched"][-1] == "someone/Made-Up"
    assert facts["repositories"]["made-up"] == "made-up"
    assert facts["pinned"] == {"made-up": "1.2.3"}


def test_the_tip_of_a_new_package_is_measured_every_night(facts: dict[str, Any]) -> None:
    name, commits = facts["tip"]
    assert name.endswith("+made-up-main")
    assert commits == {"made-up": COMMIT}
    release, branch = facts["pins"]
    assert not release
    assert "'git+ssh://x.example/y@main' is neither a release nor a commit" in branch


def test_a_new_package_is_documented(tree: Path) -> None:
    python(tree, "-m", "bot", "documents")
    documents = [path.read_text(encoding="utf-8") for path in (*tree.glob("*.md"), *tree.glob("docs/*.md"))]
    assert any("| `made-up` | someone/Made-Up | `ZERO3_MADE_UP` | yes |" in text for text in documents)


@pytest.mark.parametrize("package", [package for package in PACKAGES.values() if package.repository_names])
def test_what_is_watched_has_loading_rules(package: Any) -> None:
    assert find_rules(f"someone/{package.repository_names[0]}").package == package.name


def test_the_table_fits_what_environments_and_records_have() -> None:
    assert {*RECORDED} <= Environment.__dataclass_fields__.keys() & EnvironmentInfo.__dataclass_fields__.keys()
    assert {package.partner for package in PACKAGES.values()} <= {*CROSSED}
    assert all(PACKAGES[name].repository for name in TIPS)
    assert len(CROSSED) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [("[a]\nrole = 'none'", "'none' is not a valid"), ("[a]\nrepo = 'b'", "'repo'"), ("[a", "end of a table")],
)
def test_a_mistake_in_the_table_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "packages.toml"
    file.write_text(text)
    with pytest.raises(DataFileError, match=said):
        load_packages(file)

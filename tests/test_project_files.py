"""What a public project has: licence, citation, issue forms and code owners say what is so."""

import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWNED = re.findall(r"^(/\S+) +@\S+$", (ROOT / ".github/CODEOWNERS").read_text(encoding="utf-8"), re.MULTILINE)
WRITERS = ("bot.commands.pull_request", "bot.commands.nightly")
"""The commands of the jobs that can write."""


def test_the_licence_is_the_one_that_is_declared() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["license-files"] == ["LICENSE"]
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {key: citation[key] for key in ("title", "version", "license")} == {
        "title": PROJECT["name"], "version": PROJECT["version"], "license": PROJECT["license"]}  # fmt: skip


@pytest.mark.parametrize("name", ["wrong-verdict", "new-architecture", "bug"])
def test_an_issue_form_requires_an_answer_and_names_the_private_form_or_the_documents(name: str) -> None:
    form = yaml.safe_load((ROOT / f".github/ISSUE_TEMPLATE/{name}.yml").read_text(encoding="utf-8"))
    assert any(part.get("validations", {}).get("required") for part in form["body"])
    assert re.search(r"Report a vulnerability|docs/\S+\.md", form["body"][0]["attributes"]["value"])


def list_imported_files() -> list[str]:
    """Returns the files of this project that the writing commands import, as CODEOWNERS would name them."""
    files = "[getattr(module, '__file__', None) for module in sys.modules.values()]"
    asked = f"import json, sys, {', '.join(WRITERS)}; print(json.dumps({files}))"
    answer = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    imported = [Path(file) for file in json.loads(answer) if file]
    ours = [file for file in imported if file.is_relative_to(ROOT / "bot") or file.is_relative_to(ROOT / "matrix")]
    return [f"/{file.relative_to(ROOT).as_posix()}" for file in ours]


def is_owned(path: str) -> bool:
    """Tests whether a pattern of CODEOWNERS has this path: `/folder/` all below it, `/folder/*` only its own files."""
    return any(
        path.startswith(pattern)
        if pattern.endswith("/")
        else path.count("/") == pattern.count("/") and fnmatch.fnmatch(path, pattern)
        for pattern in OWNED
    )


def test_everything_that_runs_with_write_permission_has_an_owner() -> None:
    trusted = list_imported_files()
    assert len(trusted) > 70
    assert not [path for path in sorted(trusted) if not is_owned(path)]
    assert is_owned("/.github/workflows/report.yml")
    assert is_owned("/.ci/requirements.txt")
    assert is_owned("/matrix/process/sandbox.py")
    assert not is_owned("/bot/site/pages/about.py")


@pytest.mark.parametrize("pattern", OWNED)
def test_what_has_an_owner_exists(pattern: str) -> None:
    assert list(ROOT.glob(pattern.strip("/")))

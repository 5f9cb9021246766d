"""Finding a browser, or what to do without one; what the tests of pages notice; and the pictures of the README."""

import re
import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser

from bot.dev.browser import NAMES, VARIABLE, NoBrowserError, find_chromium
from bot.dev.screenshots import shrink_picture
from tests.support.browser import PHONE, Visitor, axe_findings, served, sideways

SCRIPT = Path(__file__).parents[2] / ".ci" / "browser"


def program(folder: Path, name: str, does: str = "exit 0") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def prepared(folder: Path, **variables: str) -> str:
    """What `.ci/browser` says where `folder` has the only programs."""
    command = [shutil.which("bash") or "bash", str(SCRIPT)]
    variables = {"PATH": str(folder), **variables}
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_browser_with_a_usual_name_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    expected = str(program(tmp_path, name))
    assert find_chromium({}) == expected


def test_the_variable_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "google-chrome")
    own = str(program(tmp_path, "own"))
    assert find_chromium({VARIABLE: own}) == own
    with pytest.raises(NoBrowserError, match="no Chromium found as /nowhere: "):
        find_chromium({VARIABLE: "/nowhere"})


def test_without_a_browser_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoBrowserError) as refused:
        find_chromium({})
    assert "apt-get install chromium" in str(refused.value)
    assert VARIABLE in str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_ci_installs_nothing_where_a_browser_is(tmp_path: Path, name: str) -> None:
    program(tmp_path, name)
    program(tmp_path, "apt-get", 'echo "apt-get $*"')
    assert not prepared(tmp_path)


@pytest.mark.parametrize(("user", "before"), [("0", "apt-get"), ("1000", "sudo --non-interactive apt-get")])
def test_ci_installs_a_browser_where_it_may(tmp_path: Path, user: str, before: str) -> None:
    program(tmp_path, "id", f"echo {user}")
    for name in ("apt-get", "sudo"):
        program(tmp_path, name, f'echo "{name} $*"')
    update, install = prepared(tmp_path).splitlines()
    assert update.startswith(f"{before} update")
    assert re.fullmatch(f"{before} install .* chromium .*", install)


@pytest.mark.parametrize("programs", [{}, {"apt-get": "exit 100", "id": "echo 0"}, {"apt-get": "", "id": "echo 1000"}])
def test_ci_goes_on_where_none_can_be_installed(tmp_path: Path, programs: dict[str, str]) -> None:
    """The tests then say what is missing."""
    for name, does in programs.items():
        program(tmp_path, name, does)
    assert not prepared(tmp_path)


def test_a_picture_gets_small_but_stays_the_same() -> None:
    image = Image.new("RGB", (300, 200), "#fbfaf8")
    image.paste((195, 33, 31), (10, 10, 60, 60))
    png = BytesIO()
    image.save(png, "PNG")
    with Image.open(BytesIO(shrink_picture(png.getvalue()))) as reduced:
        assert reduced.mode == "P"
        assert reduced.convert("RGB").tobytes() == image.tobytes()


BAD = """<!doctype html><html lang="en"><title>bad</title><link rel="icon" href="data:,">
<p style="width: 500px; color: #ccc; background: #fff">wide and pale</p><img alt="" src="https://example.org/a.png">
<img alt="" src="missing.png"><script>console.error("told"); alert("asked"); throw new Error("thrown")</script>"""


@pytest.mark.browser
def test_what_a_page_should_not_do_is_noticed(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text(BAD, encoding="utf-8")
    with served(tmp_path) as address:
        visitor = Visitor(browser, address)
        page = visitor.open("bad.html", viewport=PHONE)
        assert "wide and pale" in " ".join(sideways(page))
        assert "color-contrast" in " ".join(axe_findings(page))
        visitor.close()
    troubles = "\n".join(visitor.troubles)
    for expected in ("leaves the site: https://example.org/a.png", "404: ", "missing.png", "told", "asked", "thrown"):
        assert expected in troubles

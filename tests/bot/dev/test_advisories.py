"""What pip-audit found: said, and never called clean where nobody answered."""

import json
from pathlib import Path

import pytest

from bot.dev.advisories import main

CLEAN = {"name": "rich", "version": "14.0", "vulns": []}
WRONG = {"name": "jinja2", "version": "3.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.6"]}]}
UNKNOWN = {"name": "typer", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([CLEAN, CLEAN], 0, "Advisories of 2 of 2 packages were looked up.\n"),
        ([CLEAN, UNKNOWN], 0, "Advisories of 1 of 2 packages were looked up.\n"),
        (
            [CLEAN, WRONG],
            1,
            "jinja2 3.0: PYSEC-1, fixed in 3.1.6\nAdvisories of 2 of 2 packages were looked up.\n",
        ),
        ([UNKNOWN], 0, "No public advisories were looked up: their service cannot be reached from here.\n"),
    ],
)
def test_a_report(
    packages: list[object], code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file := tmp_path / "report.json").write_text(json.dumps({"dependencies": packages}))
    assert main(file) == code
    assert capsys.readouterr().out == words


def test_no_report_is_not_called_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path / "nowhere.json") == 0
    assert "cannot be reached" in capsys.readouterr().out

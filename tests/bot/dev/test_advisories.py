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
    assert main(file, tmp_path / "output.txt") == code
    assert capsys.readouterr().out == words


UNREACHABLE = """Traceback (most recent call last):
  File "requests/adapters.py", line 729, in send
    raise ConnectionError(e, request=request)
requests.exceptions.ConnectionError: HTTPSConnectionPool(host='api.osv.dev', port=443): Max retries exceeded
"""


def failed(folder: Path, report: str | None, output: str) -> int:
    """The exit code after pip-audit wrote `report`, or none, and said `output`."""
    if report is not None:
        (folder / "report.json").write_text(report)
    (folder / "output.txt").write_text(output)
    return main(folder / "report.json", folder / "output.txt")


@pytest.mark.parametrize("report", [None, ""])
@pytest.mark.parametrize(
    "output", [UNREACHABLE, "ERROR:pip_audit._cli:Could not connect to OSV's vulnerability feed", "x.ReadTimeout: slow"]
)
def test_a_service_that_cannot_be_reached_is_not_called_clean(
    report: str | None, output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failed(tmp_path, report, output) == 0
    assert "cannot be reached" in capsys.readouterr().out


@pytest.mark.parametrize("report", [None, "", "{", "[]", "{}"])
def test_any_other_failure_fails_with_its_output(
    report: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failed(tmp_path, report, "KeyError: 'vulns'") == 1
    assert capsys.readouterr().out == "pip-audit wrote no report. It said:\nKeyError: 'vulns'\n"

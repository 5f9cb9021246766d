"""What the terminal gets is text, whatever a stranger wrote."""

import pytest

from matrix.command_line.output import say


def test_no_escape_and_no_bidirectional_mark_reaches_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("safe\x1b[2K\r\u202eevil\x07\nnext\tline", end=False)
    assert capsys.readouterr().out == "safe\\x1b[2K\\r\\u202eevil\\x07\nnext\tline"


def test_errors_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("no\x9b1m", err=True)
    assert capsys.readouterr() == ("", "no\\x9b1m\n")

"""Errors are told in words, whichever process they come from."""

import pickle
from pathlib import Path

import pytest

from matrix.errors import MatrixError, NoHistoryError, OutputError, UnknownNameError


@pytest.mark.parametrize(
    "error",
    [
        OutputError(Path("site"), OSError("No space left on device")),
        UnknownNameError("architecture", ["brt"], ["bert"]),
        NoHistoryError(Path("history")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_another_process_tells_an_error_in_the_same_words(error: MatrixError) -> None:
    told = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(told), str(told), told.exit_code) == (type(error), str(error), error.exit_code)

"""The frame of a record: what was really measured has nothing odd in it."""

from pathlib import Path

import pytest

from bot.untrusted.record_frame import find_odd_frame, parse_moment
from matrix.history.reader import read_record_file

HISTORY = Path(__file__).parents[2] / "data" / "site" / "history"


def test_nothing_is_odd_in_what_was_really_measured() -> None:
    names = [str(path.relative_to(HISTORY)) for path in HISTORY.glob("*/*.jsonl.gz")]
    found = {name: find_odd_frame(read_record_file(HISTORY, name), {}) for name in names}
    assert found
    assert not any(found.values())


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-11-31T02:00:00Z", "2026-11-22", "2026-11-22T02:00:00", "2026-11-22T02:00:00+00:00",
     "2026-11-22T02:00:00.5Z", "2026-11-22T04:00:00+02:00", "2026-11-22 02:00:00Z", "\u0662026-11-22T02:00:00Z"],
)  # fmt: skip
def test_only_a_moment_as_records_have_it_is_one(text: str) -> None:
    assert parse_moment(text) is None
    assert parse_moment("2026-11-22T02:00:00Z")

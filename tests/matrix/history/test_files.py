"""What does not count of a history's files, and which of two measurements does."""

import gzip
import os
from dataclasses import replace

import pytest

from matrix.history import reader as history_reader
from matrix.history.files import CellState
from matrix.history.queries import NightlyRun, query_environments, query_nightly_runs, query_rejected_files
from matrix.history.reader import LIMITS, HistoryLimits
from matrix.model import Cell
from matrix.verdicts import Verdict
from tests.support.history.folder import CORRUPT, FIRST, NEW, PASS, Folder, day, lines, name
from tests.support.history.standings import standings
from tests.support.runs import BERT, RESOLVER, case, cell


def flipped(packed: bytes) -> bytes:
    """With one bit of the checksum changed."""
    return packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("2026-11-22/a.jsonl", b"garbage\n", "line 1 is not JSON"),
        ("2026-11-22/a.jsonl", b'{"record": "case"}\n', "line 1 is not a cell record"),
        ("2026-11-22/a.jsonl", b"", "no complete record"),
        ("2026-11-22/z.jsonl", lines(cell(CORRUPT)).replace(b'"load_seconds": 0.0', b'"load_seconds": 00.0'), "line 2 is not"),
        ("2026-11-22/a.jsonl", lines(cell()).replace(b'"schema": 2', b'"schema": 9'), "records of schema 9"),
        ("2026-11-22/a.jsonl", lines(cell()).replace(b"2 cores", rb"\ud800"), "Invalid JSON"),
        ("2026-11-22/a.jsonl", lines(cell()).replace(b'"schema": 2', rb'"schema": "\ud800"'), r"records of schema \ud800"),
        ("2026-11-22/a.jsonl.gz", gzip.compress(lines(cell()))[:-9], "is damaged"),
        ("2026-11-22/a.jsonl.gz", b"\x1f\x8b\x08\x00damaged", "is damaged"),
        ("2026-11-22/a.jsonl.gz", flipped(gzip.compress(lines(cell(CORRUPT)), mtime=0)), "is damaged"),
        ("2026-11-22/a.jsonl.gz", gzip.compress(lines(cell())) * 2, "it has data after its end"),
        ("2026-11-22/a.jsonl.gz", gzip.compress(bytes(LIMITS.size + 1)), "has more than 64 MiB"),
        ("2026-11-22/a.jsonl", bytes(LIMITS.size + 1), "has more than 64 MiB"),
        ("2026-11-22/a.txt", lines(cell()), "not a .jsonl or .jsonl.gz file"),
        ("2026-11-22/a.jsonl/b", b"", "Is a directory"),
        ("20261122/a.jsonl", lines(cell()), "is not a nightly run"),
        ("notes/a.jsonl", lines(cell()), "is not a nightly run"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_kept_with_its_reason(
    folder: Folder, path: str, content: bytes, reason: str
) -> None:
    folder.keep(0, cell(CORRUPT, environment=NEW))
    folder.put(path, content)
    with folder.asked() as answers:
        (bad,) = query_rejected_files(answers)
        assert bad.path == "/".join(path.split("/")[:2])
        assert reason in bad.reason
        assert [found.environment for found in standings(answers)] == [NEW.id]


def test_a_file_with_more_lines_than_results_have_is_refused(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.keep(0, cell(PASS, case(BERT)), cell(PASS, environment=NEW))
    monkeypatch.setattr(history_reader, "LIMITS", HistoryLimits(lines=3))
    with folder.asked() as answers:
        assert [found.reason.partition(".gz: ")[2] for found in query_rejected_files(answers)] == [
            "has more than 3 lines, the limit"
        ]
        assert [found.environment for found in standings(answers)] == [NEW.id]


def test_files_beyond_what_a_night_has_are_refused_and_nothing_else(folder: Folder) -> None:
    for number in range(LIMITS.files_of_a_night):
        folder.put(f"{FIRST}/{number:04}.txt", b"")
    folder.put(f"{FIRST}/zzz.jsonl", lines(cell(PASS)))
    folder.keep(1, cell(CORRUPT))
    with folder.asked() as answers:
        assert len(query_rejected_files(answers)) == LIMITS.files_of_a_night + 1
        assert "zzz.jsonl: its nightly run has more than 1000 files" in query_rejected_files(answers)[-1].reason
        assert [known.night for known in standings(answers)] == [day(1)]


def test_a_file_whose_name_is_no_unicode_is_told(folder: Folder) -> None:
    folder.put(os.fsdecode(b"2026-11-22/\xff.jsonl"), lines(cell(PASS)))
    with folder.asked() as answers:
        assert [found.path for found in query_rejected_files(answers)] == [r"2026-11-22/\udcff.jsonl"]


def test_the_same_cell_twice_in_a_night_counts_once(folder: Folder) -> None:
    folder.keep(0, cell(PASS))
    folder.put(f"{FIRST}/{name(cell())}", lines(cell(PASS)))
    with folder.asked() as answers:
        assert [found.reason for found in query_rejected_files(answers)] == [
            f"{FIRST}/{name(cell())}: the same cell as {FIRST}/{name(cell())}.gz"
        ]
        assert query_nightly_runs(answers) == (NightlyRun(FIRST, 1, 0, 0, 1),)


@pytest.mark.parametrize(
    "worse",
    [
        replace(cell(CORRUPT, complete=False), started="2026-11-22T23:00:00Z"),
        replace(cell(CORRUPT), started="2026-11-21T18:00:00Z"),
    ],
)
@pytest.mark.parametrize("first", ["0", "z"])
def test_of_two_measurements_of_a_cell_the_newest_finished_one_counts(folder: Folder, worse: Cell, first: str) -> None:
    folder.put(f"{FIRST}/m.jsonl", lines(cell(PASS)))
    folder.put(f"{FIRST}/{first}.jsonl", lines(worse))
    with folder.asked() as answers:
        assert [found.verdict for found in standings(answers)] == [Verdict.PASS]
        assert [found.path for found in query_rejected_files(answers)] == [f"{FIRST}/{first}.jsonl"]


def test_an_incomplete_cell_is_flagged_and_says_nothing_of_its_cases(folder: Folder) -> None:
    folder.keep(0, cell(PASS))
    folder.keep(1, cell(CORRUPT, complete=False))
    with folder.asked() as answers:
        (found,) = query_environments(answers)
        assert found.measured
        assert (found.newest.state, found.newest.cases, found.measured.night) == (CellState.INCOMPLETE, 1, day(0))
        assert [(known.verdict, known.night) for known in standings(answers)] == [(Verdict.PASS, day(0))]
        assert query_nightly_runs(answers)[1] == NightlyRun(day(1), 0, 0, 1, 0)


def test_a_failed_cell_is_measured_and_leaves_earlier_verdicts(folder: Folder) -> None:
    folder.keep(0, cell(PASS))
    folder.keep(1, cell(planned=1, error=RESOLVER, complete=False))
    with folder.asked() as answers:
        (found,) = query_environments(answers)
        assert found.measured == found.newest
        assert (found.newest.state, found.newest.header.error) == (CellState.FAILED, RESOLVER)
        assert [known.night for known in standings(answers)] == [day(0)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"load_seconds": 0.0,', b'"load_seconds": 00.0,'),
        (b'"load_seconds": 0.0,', b'"load_seconds": %s.0,' % (b"9" * 400)),  # infinite as a float
        (b'"measured_with": null}\n', b'"measured_with": null} \n{}\n'),
        (b'"planned": 2', b'"planned": "2"'),
        (b'{"record": "end", ', b'{"record": "END", '),
    ],
)
def test_a_file_with_one_bad_line_does_not_count(folder: Folder, old: bytes, new: bytes) -> None:
    good = lines(cell(CORRUPT, case(BERT)))
    assert old in good
    folder.put(f"{FIRST}/a.jsonl", good.replace(old, new))
    with folder.asked() as answers:
        assert [found.path for found in query_rejected_files(answers)] == [f"{FIRST}/a.jsonl"]

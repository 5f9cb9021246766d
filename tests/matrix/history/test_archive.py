"""Archiving: a run's files are kept whole, once, and never changed."""

import gzip

import pytest

from matrix.errors import BusyError, NoResultsError, OutputError
from matrix.history import archive as history_archive
from matrix.history.archive import AlreadyKeptError, archive
from matrix.history.reader import read_record_file
from matrix.results.write import append
from tests.support.history.folder import CORRUPT, FIRST, NEW, PASS, Folder, day, interrupted, lines, name
from tests.support.runs import BERT, case, cell


def test_an_archived_run_is_read_back_whole(folder: Folder) -> None:
    whole = cell(CORRUPT, case(BERT))
    (kept,) = archive(folder.measure(whole), folder.records, FIRST)
    assert kept == folder.records / "2026-11-22" / f"{name(whole)}.gz"
    assert read_record_file(folder.records, f"2026-11-22/{kept.name}") == whole


def test_archiving_again_changes_nothing(folder: Folder) -> None:
    run = folder.measure(cell(PASS))
    (kept,) = archive(run, folder.records, FIRST)
    before = (kept.stat().st_ino, kept.stat().st_mtime_ns)
    assert archive(run, folder.records, FIRST) == (kept,)
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == before


def test_the_same_run_has_the_same_bytes_in_every_archive(folder: Folder) -> None:
    run = folder.measure(cell(PASS))
    first, second = (archive(run, folder.records, day(number))[0].read_bytes() for number in (0, 1))
    assert first == second
    assert first[4:8] == bytes(4), "the time is in the bytes"


def test_a_plain_file_counts_as_archived(folder: Folder) -> None:
    folder.put(f"{FIRST}/{name(cell())}", lines(cell(PASS)))
    (kept,) = archive(folder.measure(cell(PASS)), folder.records, FIRST)
    assert kept.suffix == ".jsonl"


@pytest.mark.parametrize("content", [gzip.compress(lines(cell(PASS))), b"damaged"])
def test_another_content_is_refused_before_anything_is_kept(folder: Folder, content: bytes) -> None:
    folder.put(f"{FIRST}/{name(cell())}.gz", content)
    run = folder.measure(cell(CORRUPT), cell(PASS, environment=NEW))
    with pytest.raises(AlreadyKeptError, match=r"5\.5\.4.*\n.*Archive the run into another night"):
        archive(run, folder.records, FIRST)
    assert [file.read_bytes() for file in (folder.records / str(FIRST)).iterdir()] == [content]


def test_an_interrupted_archive_is_no_record_and_the_same_call_finishes_it(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = folder.measure(cell(PASS), cell(PASS, environment=NEW))
    with monkeypatch.context() as patch:
        patch.setattr(history_archive, "publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            archive(run, folder.records, FIRST)
    assert folder.build() == 0
    archive(run, folder.records, FIRST)
    assert folder.build() == 2
    assert folder.database.read_bytes() == folder.rebuilt()


def test_a_run_that_is_being_written_is_not_archived(folder: Folder) -> None:
    run = folder.measure(cell(PASS))
    with append(run / name(cell())), pytest.raises(BusyError):
        archive(run, folder.records, FIRST)


def test_a_run_without_results_is_told(folder: Folder) -> None:
    with pytest.raises(NoResultsError):
        archive(folder.run, folder.records, FIRST)


def test_a_history_that_cannot_be_written_is_told(folder: Folder) -> None:
    folder.put(str(FIRST), b"a file where the night should be")
    with pytest.raises(OutputError):
        archive(folder.measure(cell(PASS)), folder.records, FIRST)

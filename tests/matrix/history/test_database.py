"""The database of a history is what the records say, however it is built and whatever happens meanwhile."""

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.errors import OutputError
from matrix.history import database as history
from matrix.history.archive import HistoryBusyError, archive, lock_history
from matrix.history.build import build_database
from matrix.history.changes import query_first_nightly_runs
from matrix.history.database import HistoryError, open_database
from matrix.history.queries import query_days, query_nightly_runs
from matrix.model import Cell, Loader
from matrix.verdicts import Verdict
from tests.support.history.folder import CORRUPT, FIRST, NEW, OLD, PASS, Folder, day, interrupted, lines, name
from tests.support.history.standings import standings
from tests.support.runs import BERT, RESOLVER, ROUTER, case, cell, info

STEPS = st.lists(
    st.lists(
        st.builds(
            lambda environment, cases, complete, error: cell(
                *cases, environment=environment, complete=complete, error=error if complete else None
            ),
            st.sampled_from([OLD, NEW]),
            st.lists(
                st.builds(case, st.sampled_from([ROUTER, BERT]), st.sampled_from([Verdict.PASS, Verdict.CRASH]), loader=st.sampled_from(Loader)),
                max_size=3,
            ),
            st.booleans(),
            st.sampled_from([None, None, RESOLVER]),
        ),
        max_size=2,
    ),
    min_size=1,
    max_size=5,
)  # fmt: skip


@settings(max_examples=40)
@given(STEPS, st.sampled_from([b"", b"\x1f\x8b"]))
def test_each_night_is_answered_as_its_records_say(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[Cell]], damaged: bytes
) -> None:
    folder = Folder(tmp_path_factory.mktemp("history"))
    for number, cells in enumerate(steps):
        folder.keep(number, *cells)
        if damaged:
            folder.put(f"{day(number)}/damaged.jsonl.gz", damaged)
        folder.build()
    assert folder.database.read_bytes() == folder.rebuilt()
    with open_database(folder.database) as answers:
        for night in query_days(answers):
            stands = {(one.environment, one.key): one.since for one in standings(answers, night)}
            told = query_first_nightly_runs(answers, night)
            assert {(name, key): day for name, found in told.items() for key, day in found.items()} == stands


def test_several_processes_give_the_bytes_of_one(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, measured in enumerate([CORRUPT, CORRUPT, PASS]):
        folder.keep(number, cell(measured, case(BERT)), cell(PASS, environment=NEW))
        folder.put(f"{day(number)}/damaged.jsonl.gz", b"\x1f")
    found = []
    for processors in ({0}, {0, 1}):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, processors=processors: processors)
        found.append(folder.rebuilt())
    assert found[0] == found[1]


def test_what_is_no_folder_of_records_counts_for_nothing(folder: Folder) -> None:
    folder.keep(0, cell(PASS))
    (folder.records / day(1).isoformat()).symlink_to("gone")
    (folder.records / day(2).isoformat()).symlink_to(day(2).isoformat())
    (folder.records / "README.md").write_text("plain")
    assert folder.build() == 1


def later_in_the_same_night(folder: Folder) -> None:
    folder.keep(2, cell(CORRUPT, environment=info("5.9.0")))


def earlier(folder: Folder) -> None:
    folder.keep(1, cell(CORRUPT))


def gone(folder: Folder) -> None:
    (folder.records / str(day(0)) / f"{name(cell())}.gz").unlink()


def other(folder: Folder) -> None:
    folder.keep(0, cell(CORRUPT))


def other_and_a_new_night(folder: Folder) -> None:
    other(folder)
    folder.keep(3, cell(CORRUPT))


@pytest.mark.parametrize("change", [later_in_the_same_night, earlier, gone, other, other_and_a_new_night])
def test_whatever_changes_the_database_is_that_of_the_files_there_are(folder: Folder, change: object) -> None:
    folder.keep(0, cell(PASS))
    folder.keep(2, cell(PASS))
    folder.build()
    assert callable(change)
    change(folder)
    folder.build()
    assert folder.database.read_bytes() == folder.rebuilt()


def flip_page(database: Path) -> None:
    content = bytearray(database.read_bytes())
    content[4096:4196] = b"\xff" * 100
    database.write_bytes(content)


def cut(database: Path) -> None:
    database.write_bytes(database.read_bytes()[:5000])


def garbage(database: Path) -> None:
    database.write_bytes(b"no database" * 1000)


def empty(database: Path) -> None:
    database.write_bytes(b"")


def older(database: Path) -> None:
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA user_version = 1")
        db.execute("DROP TABLE change")


@pytest.mark.parametrize("damage", [flip_page, cut, garbage, empty, older, Path.unlink])
def test_readers_reject_a_damaged_or_older_database_and_a_build_replaces_it(folder: Folder, damage: object) -> None:
    folder.keep(0, cell(CORRUPT))
    folder.build()
    good = folder.database.read_bytes()
    assert callable(damage)
    damage(folder.database)
    with (
        pytest.raises(HistoryError, match="build it again from the record files"),
        open_database(folder.database) as answers,
    ):
        standings(answers)
    folder.build()
    assert folder.database.read_bytes() == good


def test_an_interrupted_build_leaves_the_database_as_it_was(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.keep(0, cell(PASS))
    folder.build()
    before = folder.database.read_bytes()
    folder.keep(1, cell(CORRUPT))
    with monkeypatch.context() as patch:
        patch.setattr(history, "publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            folder.build()
    assert folder.database.read_bytes() == before
    assert folder.build() == 2
    assert folder.database.read_bytes() == folder.rebuilt()


def test_a_second_writer_is_told_or_waits(folder: Folder) -> None:
    folder.keep(0, cell(PASS))
    second = threading.Thread(target=folder.build)
    with lock_history(folder.records, wait=False):
        with pytest.raises(HistoryBusyError, match="wait for it"):
            build_database(folder.records, folder.database, wait=False)
        with pytest.raises(HistoryBusyError):
            archive(folder.measure(cell(PASS)), folder.records, FIRST, wait=False)
        second.start()
        second.join(0.1)
        assert second.is_alive()
        assert not folder.database.exists()
    second.join()
    assert folder.database.exists()


def test_two_runs_archived_at_once_are_both_kept(folder: Folder) -> None:
    second = Folder(folder.records.parent / "second")
    runs = folder.measure(cell(PASS)), second.measure(cell(CORRUPT, environment=NEW))
    writers = [threading.Thread(target=archive, args=(run, folder.records, FIRST)) for run in runs]
    with lock_history(folder.records, wait=False):
        for writer in writers:
            writer.start()
        assert not (folder.records / str(FIRST)).exists()
    for writer in writers:
        writer.join()
    assert folder.build() == 2


def test_building_changes_no_record_good_or_bad(folder: Folder) -> None:
    folder.keep(0, cell(PASS))
    folder.put(f"{FIRST}/damaged.jsonl.gz", b"damaged")
    folder.put(f"{FIRST}/cut.jsonl", lines(cell(CORRUPT, environment=NEW))[:-9])
    kept = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.records.glob("*/*")}
    folder.build()
    folder.rebuilt()
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.records.glob("*/*")} == kept


def test_a_reader_keeps_its_answers_while_a_build_goes_on(folder: Folder) -> None:
    folder.keep(0, cell(PASS))
    with folder.asked() as answers:
        folder.keep(1, cell(CORRUPT))
        folder.build()
        assert [found.day for found in query_nightly_runs(answers)] == [day(0)]


def test_a_database_that_cannot_be_written_is_told(folder: Folder) -> None:
    folder.keep(0, cell(PASS))
    with pytest.raises(OutputError):
        build_database(folder.records, folder.records / str(FIRST) / f"{name(cell())}.gz" / "history.sqlite")

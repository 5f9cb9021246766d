"""The history: records are the truth, the database is what they say in however many steps, and its answers."""

import gzip
import os
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.errors import BusyError, NoResultsError, OutputError
from matrix.history import archive as history_archive
from matrix.history import database as history
from matrix.history import reader as history_reader
from matrix.history.archive import AlreadyKeptError, HistoryBusyError, archive, locked
from matrix.history.build import build_database
from matrix.history.case_history import NightVerdict, query_case_histories
from matrix.history.changes import VerdictChange, query_changes, query_first_nights
from matrix.history.database import HistoryError, open_database
from matrix.history.files import State
from matrix.history.queries import (
    NightlyRun,
    query_days,
    query_environments,
    query_evidence,
    query_nightly_runs,
    query_rejected_files,
)
from matrix.history.reader import LIMITS, Limits, parse_case, read_record_file
from matrix.model import Case, Cell, Loader
from matrix.results.records import case_record
from matrix.results.store import append
from matrix.verdicts import Verdict
from tests.support.history.folder import FIRST, NEW, OLD, Folder, day, lines, name
from tests.support.history.standings import standings
from tests.support.runs import BERT, RESOLVER, ROUTER, case, cell, finding, info

CORRUPT = case(ROUTER, Verdict.CORRUPT)
PASS = case(ROUTER)


def flipped(packed: bytes) -> bytes:
    """With one bit of the checksum changed."""
    return packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


# Archiving


def test_an_archived_run_is_read_back_whole(folder: Folder) -> None:
    whole = cell(CORRUPT, case(BERT))
    (kept,) = archive(folder.measure(whole), folder.records, FIRST)
    assert kept == folder.records / "2026-11-22" / f"{name(whole)}.gz"
    assert read_record_file(folder.records, f"2026-11-22/{kept.name}") == whole


def test_archiving_again_changes_nothing(folder: Folder) -> None:
    run = folder.measure(cell(PASS))
    (kept,) = archive(run, folder.records, FIRST)
    before = kept.stat()
    assert archive(run, folder.records, FIRST) == (kept,)
    assert kept.stat() == before


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
    with pytest.raises(AlreadyKeptError, match=r"5\.5\.4.*\n.*archive the run into another night"):
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


# Building


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


@settings(deadline=None, max_examples=40)
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
            told = query_first_nights(answers, night)
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
        pytest.raises(HistoryError, match="build it from the record files again"),
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
    with locked(folder.records, wait=False):
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
    with locked(folder.records, wait=False):
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


# What does not count


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("2026-11-22/a.jsonl", b"garbage\n", "line 1 is not JSON"),
        ("2026-11-22/a.jsonl", b'{"record": "case"}\n', "line 1 is not a cell record"),
        ("2026-11-22/a.jsonl", b"", "no complete record"),
        ("2026-11-22/z.jsonl", lines(cell(CORRUPT)).replace(b'"load_seconds": 0.0', b'"load_seconds": 00.0'), "line 2 is not"),
        ("2026-11-22/a.jsonl", lines(cell()).replace(b'"schema": 1', b'"schema": 9'), "records of schema 9"),
        ("2026-11-22/a.jsonl", lines(cell()).replace(b"2 cores", rb"\ud800"), "Invalid JSON"),
        ("2026-11-22/a.jsonl", lines(cell()).replace(b'"schema": 1', rb'"schema": "\ud800"'), r"records of schema \ud800"),
        ("2026-11-22/a.jsonl.gz", gzip.compress(lines(cell()))[:-9], "is damaged"),
        ("2026-11-22/a.jsonl.gz", b"\x1f\x8b\x08\x00damaged", "is damaged"),
        ("2026-11-22/a.jsonl.gz", flipped(gzip.compress(lines(cell(CORRUPT)), mtime=0)), "is damaged"),
        ("2026-11-22/a.jsonl.gz", gzip.compress(lines(cell())) * 2, "something follows its end"),
        ("2026-11-22/a.jsonl.gz", gzip.compress(bytes(LIMITS.size + 1)), "has more than 64 MiB"),
        ("2026-11-22/a.jsonl", bytes(LIMITS.size + 1), "has more than 64 MiB"),
        ("2026-11-22/a.txt", lines(cell()), "neither .jsonl nor .jsonl.gz"),
        ("2026-11-22/a.jsonl/b", b"", "Is a directory"),
        ("20261122/a.jsonl", lines(cell()), "is not a night"),
        ("notes/a.jsonl", lines(cell()), "is not a night"),
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
    monkeypatch.setattr(history_reader, "LIMITS", Limits(lines=3))
    with folder.asked() as answers:
        assert [found.reason.partition(".gz: ")[2] for found in query_rejected_files(answers)] == [
            "has more than 3 lines, which no results have"
        ]
        assert [found.environment for found in standings(answers)] == [NEW.id]


def test_files_beyond_what_a_night_has_are_refused_and_nothing_else(folder: Folder) -> None:
    for number in range(LIMITS.files_of_a_night):
        folder.put(f"{FIRST}/{number:04}.txt", b"")
    folder.put(f"{FIRST}/zzz.jsonl", lines(cell(PASS)))
    folder.keep(1, cell(CORRUPT))
    with folder.asked() as answers:
        assert len(query_rejected_files(answers)) == LIMITS.files_of_a_night + 1
        assert "zzz.jsonl: its night has more than 1000 files" in query_rejected_files(answers)[-1].reason
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
        assert (found.newest.state, found.newest.cases, found.measured.night) == (State.INCOMPLETE, 1, day(0))
        assert [(known.verdict, known.night) for known in standings(answers)] == [(Verdict.PASS, day(0))]
        assert query_nightly_runs(answers)[1] == NightlyRun(day(1), 0, 0, 1, 0)


def test_a_failed_cell_is_measured_and_leaves_earlier_verdicts(folder: Folder) -> None:
    folder.keep(0, cell(PASS))
    folder.keep(1, cell(planned=1, error=RESOLVER, complete=False))
    with folder.asked() as answers:
        (found,) = query_environments(answers)
        assert found.measured == found.newest
        assert (found.newest.state, found.newest.header.error) == (State.FAILED, RESOLVER)
        assert [known.night for known in standings(answers)] == [day(0)]


# Answers


def test_a_standing_is_carried_forward_from_the_night_that_measured_it(folder: Folder) -> None:
    folder.keep(0, cell(CORRUPT), cell(PASS, environment=NEW))
    folder.keep(1, cell(CORRUPT, case(BERT)))
    folder.keep(2, cell(PASS, environment=NEW))
    with folder.asked() as answers:
        told = {(one.environment, one.key.architecture): one for one in standings(answers)}
        assert told[OLD.id, ROUTER].verdict is Verdict.CORRUPT
        assert (told[OLD.id, ROUTER].night, told[OLD.id, ROUTER].since) == (day(1), day(0))
        assert (told[OLD.id, BERT].night, told[NEW.id, ROUTER].night) == (day(1), day(2))
        assert len(standings(answers, day(0))) == 2


def test_an_earlier_night_is_answered_as_it_was(folder: Folder) -> None:
    for number, known in enumerate((PASS, CORRUPT)):
        folder.keep(number, replace(cell(known), started=f"{day(number)}T02:00:00Z"))
    with folder.asked() as answers:
        assert [(one.verdict, one.since) for one in standings(answers, day(0))] == [(Verdict.PASS, day(0))]
        (then,) = query_environments(answers, day(0))
        assert (then.newest.night, then.newest.header.started) == (day(0), "2026-11-22T02:00:00Z")


def test_a_case_that_a_later_night_leaves_out_keeps_its_night(folder: Folder) -> None:
    folder.keep(0, cell(CORRUPT, case(BERT)))
    folder.keep(1, cell(case(BERT)))
    with folder.asked() as answers:
        assert [(one.key.architecture, one.night) for one in standings(answers)] == [(BERT, day(1)), (ROUTER, day(0))]


def test_standings_are_of_one_environment_or_architecture(folder: Folder) -> None:
    folder.keep(0, cell(PASS, case(BERT)), cell(PASS, environment=NEW))
    with folder.asked() as answers:
        assert {one.environment for one in standings(answers, environment=NEW.id)} == {NEW.id}
        assert [one.environment for one in standings(answers, architecture=ROUTER)] == [NEW.id, OLD.id]


def test_a_strip_has_a_mark_for_every_night_and_names_the_records(folder: Folder) -> None:
    for number, verdict in enumerate((Verdict.PASS, Verdict.PASS, Verdict.CORRUPT, None, Verdict.PASS)):
        folder.keep(number, *([cell(case(ROUTER, verdict))] if verdict else [cell(case(BERT))]))
    with folder.asked() as answers:
        marks = query_case_histories(answers, OLD.id, query_days(answers)[-4:], architecture=ROUTER)[PASS.key]
        assert [mark.verdict for mark in marks] == [Verdict.PASS, Verdict.CORRUPT, None, Verdict.PASS]
        assert marks[2] == NightVerdict(day(3), None, None)
        assert read_record_file(folder.records, marks[1].path or "").cases == (CORRUPT,)
        path = f"{FIRST}/{name(cell())}.gz"
        assert query_case_histories(answers, OLD.id, query_days(answers, day(0))) == {
            PASS.key: (NightVerdict(day(0), Verdict.PASS, path),)
        }
        assert set(query_case_histories(answers, OLD.id, query_days(answers))) == {PASS.key, case(BERT).key}
        assert query_case_histories(answers, NEW.id, query_days(answers)) == {}


def test_a_strip_says_the_same_of_a_night_however_long_it_is(folder: Folder) -> None:
    for number, verdict in enumerate([Verdict.PASS, Verdict.CORRUPT, Verdict.CRASH, Verdict.CRASH, Verdict.PASS]):
        folder.keep(number, cell(case(ROUTER, verdict)))
    with folder.asked() as answers:
        whole = query_case_histories(answers, OLD.id, query_days(answers))[PASS.key]
        for number in range(1, 5):
            assert query_case_histories(answers, OLD.id, query_days(answers)[-number:])[PASS.key] == whole[-number:]


def test_a_history_without_records_answers_nothing(folder: Folder) -> None:
    with folder.asked() as answers:
        assert (query_nightly_runs(answers), query_environments(answers), standings(answers)) == ((), (), ())
        assert query_case_histories(answers, OLD.id, query_days(answers)) == {}


def test_transitions_are_what_differs_between_two_nights(folder: Folder) -> None:
    for number, verdict in enumerate((Verdict.PASS, Verdict.CORRUPT, Verdict.CRASH, Verdict.PASS)):
        folder.keep(number, cell(case(ROUTER, verdict), *[case(BERT)] * (number > 1)))
    with folder.asked() as answers:
        assert query_changes(answers, day(0), day(2)) == (
            VerdictChange(OLD.id, case(BERT).key, None, Verdict.PASS, day(2)),
            VerdictChange(OLD.id, PASS.key, Verdict.PASS, Verdict.CRASH, day(2)),
        )
        assert [found.key.architecture for found in query_changes(answers, day(0), day(3))] == [BERT]
        assert query_changes(answers, day(3), day(9)) == ()


def test_evidence_is_that_of_the_newest_measurement(folder: Folder) -> None:
    newest = replace(CORRUPT, findings=(finding("other"),), seconds=2.5)
    for number, measured in enumerate((CORRUPT, replace(newest, seconds=1.5), newest)):
        folder.keep(number, cell(measured, case(BERT)))
        folder.build()
    folder.keep(3, cell(case(BERT)))
    with folder.asked() as answers:
        bert, found = query_evidence(answers, OLD.id)
        assert (found.case, found.night, bert.night) == (newest, day(2), day(3))
        assert read_record_file(folder.records, found.path).cases[0] == newest
        assert query_evidence(answers, OLD.id, architecture=BERT) == (bert,)
        assert query_evidence(answers, NEW.id) == ()


@pytest.mark.parametrize("seconds", [0.0, 2.5, 1e-7, 1e40])
def test_evidence_has_the_times_of_its_own_line(seconds: float) -> None:
    for measured in (replace(CORRUPT, seconds=seconds, load_seconds=seconds / 2), replace(CORRUPT, seconds=1.5)):
        assert parse_case(case_record(measured).encode()) == measured


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "a\x00b", "\u202eright to left", "'; DROP TABLE cell; --"]
)
def test_hostile_names_come_back_as_they_are(folder: Folder, text: str) -> None:
    hostile: Case = replace(CORRUPT, architecture=text)
    folder.put(f"{FIRST}/a.jsonl", lines(cell(hostile, environment=replace(OLD, id=text))))
    with folder.asked() as answers:
        (known,) = standings(answers, environment=text, architecture=text)
        assert known.key == hostile.key
        assert [found.case for found in query_evidence(answers, text, architecture=text)] == [hostile]
        assert query_environments(answers)[0].newest.header.environment.id == text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"load_seconds": 0.0}\n', b'"load_seconds": 00.0}\n'),
        (b'"load_seconds": 0.0}\n', b'"load_seconds": %s.0}\n' % (b"9" * 400)),  # infinite as a float
        (b'"load_seconds": 0.0}\n', b'"load_seconds": 0.0} \n{}\n'),
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

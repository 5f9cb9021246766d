"""The snapshot: what a history, or one run, says now."""

from datetime import date
from pathlib import Path

from matrix.history.database import open_database
from matrix.history.snapshot import SHOWN, TRUSTED, Snapshot, Stale
from matrix.history.take_snapshot import snapshot_of_run, take_snapshot
from matrix.model import Cell, Failure, Run
from matrix.verdicts import Verdict
from tests.support.history.folder import FIRST, NEW, OLD, Folder, day
from tests.support.runs import BERT, ROUTER, case, cell

KEY = case(ROUTER).key


def test_each_environment_has_its_newest_measurement(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.keep(0, cell(case(ROUTER), environment=OLD), cell(case(ROUTER), environment=NEW))
    folder.keep(1, cell(case(ROUTER, Verdict.CORRUPT), environment=NEW))
    folder.build()
    with open_database(folder.database) as history:
        told = take_snapshot(history)
    old, new = told.readings if told.readings[0].night == FIRST else told.readings[::-1]
    assert (told.night, old.night, new.night) == (day(1), FIRST, day(1))
    assert new.cases[KEY].case.verdict is Verdict.CORRUPT
    assert (new.cases[KEY].since, old.cases[KEY].since) == (day(1), FIRST)
    assert [(change.key, change.before, change.after) for change in told.changes] == [
        (KEY, Verdict.PASS, Verdict.CORRUPT)
    ]


def test_what_the_newest_night_did_not_finish_is_stale(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.keep(0, cell(case(ROUTER), environment=OLD))
    folder.keep(1, cell(environment=OLD, complete=False))
    folder.build()
    with open_database(folder.database) as history:
        (reading,) = take_snapshot(history).readings
    assert reading.stale == {Stale.UNFINISHED}
    assert (reading.night, reading.attempt) == (FIRST, day(1))
    assert reading.cell.cases == (case(ROUTER),)


def test_an_environment_that_never_was_measured_has_no_cases(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.keep(0, cell(environment=OLD, complete=False))
    folder.build()
    with open_database(folder.database) as history:
        (reading,) = take_snapshot(history).readings
    assert not reading.cases
    assert reading.stale == {Stale.UNFINISHED}


def test_what_could_not_be_installed_any_more_keeps_the_cases_of_when_it_could(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.keep(0, cell(case(ROUTER), environment=OLD))
    folder.keep(1, cell(environment=OLD, error=Failure("E", "no wheel")))
    folder.build()
    with open_database(folder.database) as history:
        (reading,) = take_snapshot(history).readings
    assert (list(reading.cases), reading.cases[KEY].night) == ([KEY], FIRST)
    assert reading.stale == {Stale.FAILED}
    assert (reading.attempt, bool(reading.cell.error)) == (day(1), True)


def test_before_the_first_night_there_is_nothing_and_in_it_nothing_changed(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.keep(0, cell(case(ROUTER), environment=OLD))
    folder.build()
    with open_database(folder.database) as history:
        assert take_snapshot(history, day(-1)) == Snapshot(date.min, ())
        first = take_snapshot(history)
    assert (first.night, first.changes) == (FIRST, ())
    assert first.readings[0].cell.complete


def later(other: Cell, day: str) -> Cell:
    return Cell(**{**vars(other), "started": f"{day}T00:00:00Z"})


def test_a_run_makes_a_snapshot_of_the_day_that_its_last_cell_started() -> None:
    failed = later(cell(environment=NEW, error=Failure("E", "no wheel")), "2026-11-24")
    told = snapshot_of_run(Run((failed, later(cell(case(ROUTER), environment=OLD), "2026-11-23"))))
    assert [reading.stale for reading in told.readings] == [{Stale.FAILED}, frozenset()]
    assert [reading.night for reading in told.readings] == [date(2026, 11, 24), date(2026, 11, 23)]
    assert told.night == date(2026, 11, 24)
    assert snapshot_of_run(Run(())) == Snapshot(date.min, ())


def test_what_failed_makes_nothing_outdated() -> None:
    failed = later(cell(environment=NEW, error=Failure("E", "no wheel"), complete=False), "2026-12-01")
    other = Cell(**{**vars(failed), "probe": "sha256:other"})
    assert not snapshot_of_run(Run((cell(case(ROUTER), environment=OLD), other))).readings[0].stale


def test_other_inputs_than_the_newest_measurement_had_are_outdated() -> None:
    older, newer = cell(case(ROUTER), environment=OLD), cell(case(ROUTER), environment=NEW)
    changed = Cell(**{**vars(newer), "probe": "sha256:other", "started": "2026-12-01T00:00:00Z"})
    assert [reading.stale for reading in snapshot_of_run(Run((older, changed))).readings] == [
        {Stale.OUTDATED},
        frozenset(),
    ]


def test_what_nobody_measures_any_more_is_left_out_in_the_end(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.keep(0, cell(case(ROUTER), environment=OLD))
    folder.keep(SHOWN.days, cell(case(ROUTER), environment=NEW))
    folder.keep(SHOWN.days + 1, cell(case(ROUTER), environment=NEW))
    folder.build()
    with open_database(folder.database) as history:
        shown = [
            sorted(reading.cell.environment.transformers for reading in take_snapshot(history, day(number)).readings)
            for number in (SHOWN.days, SHOWN.days + 1)
        ]
    assert shown == [[NEW.transformers, OLD.transformers], [NEW.transformers]]


def test_what_the_newest_whole_measurement_left_out_says_nothing_any_more(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.keep(0, cell(case(ROUTER), case(BERT), environment=NEW))
    folder.keep(1, cell(case(BERT), environment=NEW))
    folder.build()
    with open_database(folder.database) as history:
        (reading,) = take_snapshot(history).readings
    assert [key.architecture for key in reading.cases] == [BERT]
    assert reading.cell.cases == (case(BERT),)


def test_what_was_left_out_does_not_come_back_with_a_night_that_failed(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.keep(0, cell(case(ROUTER), case(BERT), environment=NEW))
    folder.keep(1, cell(case(BERT), environment=NEW))
    folder.keep(2, cell(environment=NEW, error=Failure("E", "no wheel")))
    folder.build()
    with open_database(folder.database) as history:
        (reading,) = take_snapshot(history).readings
    assert [key.architecture for key in reading.cases] == [BERT]


def test_what_is_not_measured_any_more_is_too_old_in_the_end(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.keep(0, cell(case(ROUTER), environment=OLD))
    for number in (TRUSTED.days, TRUSTED.days + 1):
        folder.keep(number, cell(case(ROUTER), environment=NEW))
    folder.build()
    with open_database(folder.database) as history:
        stale = [
            [reading.stale for reading in take_snapshot(history, day(TRUSTED.days + more)).readings] for more in (0, 1)
        ]
    assert stale[0] == [frozenset()] * 2
    assert sorted(map(len, stale[1])) == [0, 1]
    assert {Stale.OLD} in stale[1]


def test_a_run_that_was_gone_on_with_much_later_has_parts_that_are_too_old() -> None:
    early, late = cell(case(ROUTER), environment=OLD), cell(case(ROUTER), environment=NEW)
    late = Cell(**{**vars(late), "started": "2027-11-22T00:00:00Z"})
    assert [reading.stale for reading in snapshot_of_run(Run((early, late))).readings] == [{Stale.OLD}, frozenset()]

"""What the database of a history answers, night by night."""

from dataclasses import replace

import pytest

from matrix.history.case_history import NightlyVerdict, query_case_histories
from matrix.history.changes import VerdictChange, query_changes
from matrix.history.queries import query_days, query_environments, query_evidence, query_nightly_runs
from matrix.history.reader import parse_case, read_record_file
from matrix.model import Case
from matrix.results.records import case_record
from matrix.verdicts import Verdict
from tests.support.history.folder import CORRUPT, FIRST, NEW, OLD, PASS, Folder, day, lines, name
from tests.support.history.standings import standings
from tests.support.runs import BERT, ROUTER, case, cell, finding


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
        marks = query_case_histories(answers, OLD.id, query_days(answers)[-4:])[PASS.key]
        assert [mark.verdict for mark in marks] == [Verdict.PASS, Verdict.CORRUPT, None, Verdict.PASS]
        assert marks[2] == NightlyVerdict(day(3), None, None)
        assert read_record_file(folder.records, marks[1].path or "").cases == (CORRUPT,)
        path = f"{FIRST}/{name(cell())}.gz"
        assert query_case_histories(answers, OLD.id, query_days(answers, day(0))) == {
            PASS.key: (NightlyVerdict(day(0), Verdict.PASS, path),)
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
        assert [found.case for found in query_evidence(answers, text)] == [hostile]
        assert query_environments(answers)[0].newest.header.environment.id == text

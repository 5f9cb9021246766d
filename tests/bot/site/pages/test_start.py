"""What the start page says changed, and what is stale."""

from dataclasses import replace
from datetime import date, timedelta

from bot.site.pages import start
from matrix.history.changes import VerdictChange
from matrix.history.queries import NightlyRun
from matrix.history.snapshot import Snapshot
from matrix.model import CaseKey, Check, Loader
from matrix.verdicts import Verdict
from tests.support.runs import ROUTER
from tests.support.sites import small

NIGHT = date(2026, 11, 22)


LOAD = CaseKey(ROUTER, Loader.STOCK, Check("load"))


def changed(snapshot: Snapshot, *changes: tuple[Verdict | None, Verdict]) -> Snapshot:
    name = snapshot.readings[0].cell.environment.id
    return replace(
        snapshot, changes=tuple(VerdictChange(name, LOAD, before, after, NIGHT) for before, after in changes)
    )


def test_changes_for_the_worse_come_first_and_new_cases_last() -> None:
    site = small()
    snapshot = changed(
        site.snapshot, (None, Verdict.CORRUPT), (Verdict.CRASH, Verdict.PASS), (Verdict.PASS, Verdict.CRASH)
    )
    page = start.build(replace(site, snapshot=snapshot))
    assert [(change.before, change.after) for change in page.changes] == [
        (Verdict.PASS, Verdict.CRASH),
        (Verdict.CRASH, Verdict.PASS),
        (None, Verdict.CORRUPT),
    ]


def test_many_changes_that_are_alike_are_one() -> None:
    site = small()
    page = start.build(replace(site, snapshot=changed(site.snapshot, *[(Verdict.PASS, Verdict.CRASH)] * 40)))
    (change,) = page.changes
    assert (len(change.cases), change.more) == (12, 28)


def test_the_start_page_names_the_night_before_where_there_is_one() -> None:
    nights = tuple(NightlyRun(NIGHT + timedelta(days=day), 1, 0, 0, 0) for day in range(3))
    told = [start.build(replace(small(), nights=nights[:number])).before for number in range(4)]
    assert told == [None, None, NIGHT, NIGHT + timedelta(days=1)]


def test_the_start_page_names_what_is_stale() -> None:
    assert [concern.transformers for concern in start.build(small()).concerns] == ["9.9.9"]

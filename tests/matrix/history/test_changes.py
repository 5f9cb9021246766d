"""How the verdicts of cases went over the nights, and since when nobody measures a case any more."""

from dataclasses import replace
from datetime import date

import pytest

from matrix.history.changes import query_verdict_histories
from matrix.model import Cell
from matrix.verdicts import Verdict
from tests.support.history.folder import NEW, OLD, Folder, day
from tests.support.runs import BERT, RESOLVER, ROUTER, case, cell

PASS, CORRUPT = cell(case(ROUTER), environment=OLD), cell(case(ROUTER, Verdict.CORRUPT), environment=OLD)
OTHER = cell(case(BERT), environment=OLD)
IDLE = 3


def ended(folder: Folder, *nights: Cell) -> date | None:
    """Since when the only case that ever changed is not measured any more, after these nights."""
    for number, whole in enumerate((PASS, CORRUPT, *nights)):
        folder.keep(number, whole)
    with folder.asked() as history:
        ((name, key), course), *_ = query_verdict_histories(history, IDLE).items()
    assert (name, key.architecture) == (OLD.id, ROUTER)
    assert course.verdicts[:2] == ((day(0), Verdict.PASS), (day(1), Verdict.CORRUPT))
    return course.ended


NOT_BEGUN = replace(CORRUPT, cases=(), complete=False)
FAILED = cell(planned=1, error=RESOLVER, environment=OLD)
ELSEWHERE = cell(case(ROUTER), environment=NEW)


@pytest.mark.parametrize(
    "nights",
    [
        [],
        [CORRUPT] * 5,
        [ELSEWHERE] * IDLE,
        [NOT_BEGUN] * 5,  # wanted, if in vain
        [FAILED] * 5,
        [*[ELSEWHERE] * IDLE, NOT_BEGUN, *[ELSEWHERE] * IDLE],
        [OTHER, CORRUPT],
        [*[ELSEWHERE] * 5, CORRUPT],
        [replace(OTHER, planned=2, complete=False)],  # says nothing of what it left out
    ],
)
def test_what_some_night_wants_is_still_measured(folder: Folder, nights: list[Cell]) -> None:
    assert ended(folder, *nights) is None


@pytest.mark.parametrize(
    ("nights", "since"),
    [
        ([ELSEWHERE] * (IDLE + 1), day(1 + IDLE + 1)),
        ([ELSEWHERE] * 9, day(1 + IDLE + 1)),
        ([FAILED, *[ELSEWHERE] * 9], day(2 + IDLE + 1)),
        ([OTHER], day(2)),
        ([CORRUPT, OTHER, OTHER], day(3)),
        ([OTHER, FAILED, NOT_BEGUN], day(2)),
        ([OTHER, *[ELSEWHERE] * 9], day(2)),
    ],
)
def test_what_no_night_wants_any_more_has_ended(folder: Folder, nights: list[Cell], since: date) -> None:
    assert ended(folder, *nights) == since

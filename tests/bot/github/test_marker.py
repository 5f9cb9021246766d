"""The one codec of hidden markers: what was written before it existed is still read, and written the same."""

import json
from dataclasses import replace
from datetime import date

import pytest

from bot.comment.state import MARKER as COMMENT
from bot.comment.state import CommentState, Headline
from bot.github.marker import Marker
from bot.nightly.issue import MARKER as NIGHTLY
from bot.nightly.issue import NightlyState
from bot.nightly.verdict_changes import CaseChange
from bot.pull_requests.tracking_issue import MARKER as TRACKING
from bot.pull_requests.tracking_issue import Cursor, TrackedResult, TrackingState
from matrix.model import Check, Configuration, Loader, Precision
from matrix.verdicts import Verdict

A, B, C = (letter * 40 for letter in "abc")
RUN = "https://github.com/own/zero3/actions/runs/7"
OLD_TURN = CaseChange("a <b> é", "m:C", Loader.STOCK, Check("load"), Verdict.PASS, Verdict.CORRUPT, date(2026, 11, 22))
TURN = replace(OLD_TURN, precision=Precision.BF16, configuration=Configuration.MIXED_DTYPES)
KNOWN = [
    (
        COMMENT,
        CommentState(A, B, 7, 2, Headline.REGRESSED, C, muted=True, digest="d" * 64),
        (
            f'<!-- zero3-matrix {{"head":"{A}","base":"{B}","run":7,"attempt":2,"headline":"regressed","since":"{C}",'
            f'"muted":true,"digest":"{"d" * 64}"}} -->'
        ),
    ),
    (
        TRACKING,
        TrackingState(
            {"a/b": Cursor("2026-11-22T12:00:00Z", ("5.0123456789ab",))},
            (TrackedResult("a/b", 5, A, Headline.GREEN, 7, 1, RUN),),
        ),
        (
            '<!-- zero3-tracking {"cursors":{"a/b":{"since":"2026-11-22T12:00:00Z","judged":["5.0123456789ab"]}},'
            f'"entries":[{{"repository":"a/b","number":5,"head":"{A}","headline":"green","run":7,"attempt":1,"url":"{RUN}"}}]}} -->'
        ),
    ),
    (
        NIGHTLY,
        NightlyState(date(2026, 11, 23), (1, 2, 3, 4), late=True, wrong=(TURN,), more=5),
        (
            r'<!-- zero3-nightly {"night":"2026-11-23","counts":[1,2,3,4],"late":true,"wrong":[{"cell":"a \u003cb\u003e \u00e9",'
            '"architecture":"m:C","loader":"stock","check":"load","before":"pass","after":"corrupt","since":"2026-11-22",'
            '"precision":"bf16","configuration":"mixed_dtypes"}],"right":[],"more":5,"gone":[],"more_gone":0} -->'
        ),
    ),
]


@pytest.mark.parametrize(("marker", "value", "line"), KNOWN, ids=["comment", "tracking", "nightly"])
def test_markers_on_github_stay_readable_and_are_written_the_same(
    marker: Marker[object], value: object, line: str
) -> None:
    assert marker.parse(f"What people read.\n\n{line}\n") == value
    assert marker.render(value) == line


def test_a_marker_from_before_precisions_is_of_float32() -> None:
    line = NIGHTLY.render(NightlyState(date(2026, 11, 23), wrong=(OLD_TURN,)))
    old = line.replace(',"precision":"float32","configuration":"plain"', "")
    assert old != line
    assert NIGHTLY.parse(old) == NightlyState(date(2026, 11, 23), wrong=(OLD_TURN,))


@pytest.mark.parametrize(("marker", "value", "line"), KNOWN, ids=["comment", "tracking", "nightly"])
def test_a_spoilt_marker_is_seen_and_not_believed(marker: Marker[object], value: object, line: str) -> None:
    spoilt = line.replace("{", '{"new":1,', 1)
    assert marker.is_in(spoilt)
    assert marker.parse(spoilt) is None
    assert marker.sign(f"Text.\n\n{spoilt}", value) == f"Text.\n\n{line}"
    assert not marker.is_in(f"{line}\nmore")
    assert json.loads(line.removeprefix(marker.start).removesuffix(" -->"))

"""The issue that tells what changed from night to night: from courses of verdicts to what is on GitHub, and once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import cmarkgfm
import pytest
from github import Auth
from hypothesis import given
from hypothesis import strategies as st

from bot.github.client import GitHub
from bot.github.errors import GitHubError
from bot.github.retries import RetryPolicy
from bot.nightly.issue import MARKER, SHOWN, NightlyState, build_state, render_body
from bot.nightly.update_issue import read_nightly_state, report_age, update_issue
from bot.nightly.verdict_changes import CaseChange, CaseChanges, find_verdict_changes, is_worse
from bot.pull_requests.tracking_issue import TrackingState, render_tracking_issue
from bot.pull_requests.watch import read_state
from matrix.history.changes import VerdictHistory
from matrix.model import CaseKey, Check, Loader
from matrix.verdicts import Verdict
from tests.support.github.faults import Fault
from tests.support.github.server import GitHubServer, serving
from tests.support.github.state import BOT, Issue, Repository, State
from tests.support.history.folder import NEW, OLD, Folder
from tests.support.runs import ROUTER, case, cell

FIRST = date(2026, 11, 1)
KEY = CaseKey("mimi:MimiModel", Loader.STOCK, Check("load"))
CELL = "transformers-main+deepspeed-0.19.8+torch-2.13.0+cuda"
V = Verdict


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def turned(*verdicts: Verdict, recent: int = 0) -> CaseChanges:
    """The turns of a case with a verdict for each night."""
    return find_verdict_changes({(CELL, KEY): course(*verdicts)}, day(recent))


def course(*verdicts: Verdict, ended: date | None = None) -> VerdictHistory:
    return VerdictHistory(tuple((day(n), verdict) for n, verdict in enumerate(verdicts)), ended)


@pytest.mark.parametrize(
    ("verdicts", "was_is_since"),
    [
        ([V.PASS, V.CRASH], (V.PASS, V.CRASH, 1)),
        ([V.CRASH, V.CORRUPT], (V.CRASH, V.CORRUPT, 1)),  # silent is worse
        ([V.PASS, V.CRASH, V.CORRUPT, V.CRASH], (V.PASS, V.CRASH, 1)),
        ([V.PASS, V.FLAKY], (V.PASS, V.FLAKY, 1)),
        ([V.UNSUPPORTED, V.CRASH], (V.UNSUPPORTED, V.CRASH, 1)),
        ([V.PASS, V.CRASH, V.PASS, V.HANG], (V.PASS, V.HANG, 3)),
        ([V.PASS, V.CRASH, V.ENVIRONMENT], (V.PASS, V.CRASH, 1)),  # nothing was measured: nothing is right again
        ([V.PASS, V.CORRUPT, V.BASELINE_BROKEN], (V.PASS, V.CORRUPT, 1)),  # only a pass is right
        ([V.PASS, V.CORRUPT, V.UNSUPPORTED], (V.PASS, V.CORRUPT, 1)),
    ],
)
def test_what_turned_wrong(verdicts: list[Verdict], was_is_since: tuple[Verdict, Verdict, int]) -> None:
    (turn,) = turned(*verdicts).wrong
    assert (turn.before, turn.after, turn.since) == (*was_is_since[:2], day(was_is_since[2]))


@pytest.mark.parametrize(
    "verdicts",
    [
        [V.PASS, V.PASS],
        [V.CRASH, V.PASS],
        [V.CORRUPT, V.CRASH],
        [V.CRASH, V.CORRUPT, V.CRASH],  # as wrong as before: neither worse nor right
        [V.CRASH, V.ENVIRONMENT, V.CRASH],
        [V.CRASH, V.FLAKY, V.CRASH],
        [V.PASS, V.BASELINE_BROKEN, V.PASS],
        [V.ENVIRONMENT],
    ],
)
def test_what_did_not_turn_wrong(verdicts: list[Verdict]) -> None:
    assert turned(*verdicts) == CaseChanges((), ())


def test_what_is_right_again_is_told_for_a_while() -> None:
    (turn,) = turned(V.PASS, V.CRASH, V.PASS).right
    assert (turn.before, turn.after, turn.since) == (V.CRASH, V.PASS, day(2))
    assert not turned(V.PASS, V.CRASH, V.PASS, recent=3).right


def test_what_is_not_measured_any_more_is_neither_wrong_nor_right_and_told_for_a_while() -> None:
    found = find_verdict_changes({(CELL, KEY): course(V.PASS, V.CRASH, ended=day(5))}, recent=day(5))
    assert (found.wrong, found.right, [turn.after for turn in found.gone]) == ((), (), [V.CRASH])
    assert find_verdict_changes({(CELL, KEY): course(V.PASS, V.CRASH, ended=day(5))}, recent=day(6)) == CaseChanges()
    assert find_verdict_changes({(CELL, KEY): course(V.PASS, V.PASS, ended=day(5))}, recent=day(5)) == CaseChanges()
    assert not find_verdict_changes({(CELL, KEY): course(V.PASS, V.CRASH, V.PASS, ended=day(5))}, recent=day(0)).gone


def test_nothing_is_both_worse_and_better() -> None:
    assert not [pair for pair in ((a, b) for a in V for b in V) if is_worse(*pair) and is_worse(*pair[::-1])]


def known(number: int, *verdicts: Verdict, late: bool = False) -> NightlyState:
    """What is known after night `number`, with a case of that course."""
    return replace(build_state(day(number), (9, 1, 0, 0), turned(*verdicts)), late=late)


CALM, WRONG = known(1, V.PASS), known(2, V.PASS, V.PASS, V.CRASH)
RIGHT = known(3, V.PASS, V.PASS, V.CRASH, V.PASS)
GONE = build_state(
    day(5), (9, 1, 0, 0), find_verdict_changes({(CELL, KEY): course(V.PASS, V.PASS, V.CRASH, ended=day(5))}, day(0))
)


def test_a_ledger_is_read_back_from_its_text_and_fits() -> None:
    for one in (CALM, WRONG, RIGHT, GONE, replace(WRONG, late=True), NightlyState(None, late=True)):
        assert MARKER.parse(render_body(one)) == one
    turn = CaseChange(
        "+" * 400, "`|" * 300 + ":X", Loader.STOCK, Check("load"), V.BASELINE_BROKEN, V.NOT_PARTITIONED, FIRST
    )
    many = tuple(replace(turn, since=day(number)) for number in range(SHOWN + 9))
    full = build_state(FIRST, (99, 99, 99, 99), CaseChanges(many, many, many))
    assert (len(full.wrong), full.more, full.more_gone) == (SHOWN, 9, 9)
    assert len(render_body(full)) < 65_536
    assert MARKER.parse(render_body(full)) == full


@given(st.text(alphabet=st.sampled_from('<!-- zero3-nightly {"night":"2026-11-01"} -->\n')) | st.text())
def test_no_issue_breaks_the_reader(text: str) -> None:
    assert MARKER.parse(text) in (None, NightlyState(date(2026, 11, 1)))


def test_names_from_records_are_no_markup() -> None:
    evil = "@someone #1 <img src=x> [a](http://b) | `"
    (turn,) = WRONG.wrong
    text = render_body(replace(WRONG, wrong=(replace(turn, cell=evil, architecture=evil),)))
    html = cmarkgfm.github_flavored_markdown_to_html(text.partition(MARKER.start)[0])
    assert html.count("<td>") == 5
    assert "<img" not in html
    assert "<a " not in html
    assert "-->" not in text.partition(MARKER.start)[2].removesuffix("-->")


# On GitHub

OWN = "own/zero3"


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    with serving(State([Repository(OWN)])) as running:
        yield running
    assert not running.violations


def github(server: GitHubServer) -> GitHub:
    policy = RetryPolicy(pause=0, sleep=lambda _seconds: None)
    return GitHub(Auth.Token("ghp_secret"), server.url, policy, login=BOT)


def remarks(server: GitHubServer) -> list[str]:
    return [comment.body.splitlines()[0] for comment in server.state.repositories[0].comments]


def issues(server: GitHubServer) -> list[tuple[str, str]]:
    return [(issue.title, issue.state) for issue in server.state.repositories[0].issues]


def test_without_anything_wrong_nothing_is_opened(server: GitHubServer) -> None:
    update_issue(github(server), OWN, CALM)
    assert not issues(server)


def test_it_is_opened_once_rewritten_in_place_and_closed_by_evidence(server: GitHubServer) -> None:
    for night in (CALM, WRONG, WRONG, replace(WRONG, night=day(3)), RIGHT, RIGHT):
        update_issue(github(server), OWN, night)
    assert issues(server) == [("Nightly: what changed", "closed")]
    assert remarks(server) == ["Everything listed above as wrong is right again, as of the nightly run of 2026-11-04."]


def test_it_is_opened_again_rather_than_a_second_time(server: GitHubServer) -> None:
    for night in (WRONG, RIGHT, known(4, V.PASS, V.CRASH, V.PASS, V.PASS, V.HANG)):
        update_issue(github(server), OWN, night)
    assert [state for _, state in issues(server)] == ["open"]
    assert remarks(server)[1:] == ["1 case turned wrong as of the nightly run of 2026-11-05, see above."]


def test_a_class_that_stays_is_not_remarked_on(server: GitHubServer) -> None:
    (turn,) = WRONG.wrong
    update_issue(github(server), OWN, WRONG)
    update_issue(github(server), OWN, replace(WRONG, night=day(3), wrong=(turn, replace(turn, cell="another"))))
    assert not remarks(server)
    assert "`another`" in server.state.repositories[0].issues[0].body


def test_what_somebody_closed_it_on_is_known_and_what_is_new_is_not(server: GitHubServer) -> None:
    update_issue(github(server), OWN, WRONG)
    server.state.repositories[0].issues[0].state = "closed"
    update_issue(github(server), OWN, replace(WRONG, night=day(3)))
    assert [state for _, state in issues(server)] == ["closed"]
    (turn,) = WRONG.wrong
    update_issue(github(server), OWN, replace(WRONG, night=day(4), wrong=(turn, replace(turn, cell="another"))))
    assert [state for _, state in issues(server)] == ["open"]
    assert remarks(server) == ["1 case turned wrong as of the nightly run of 2026-11-05, see above."]


def test_what_was_counted_only_is_known_too_when_it_moves_up(server: GitHubServer) -> None:
    (turn,) = WRONG.wrong
    many = tuple(replace(turn, cell=f"cell-{number}") for number in range(SHOWN + 10))
    fresh = tuple(replace(turn, cell=f"new-{number}", since=day(4)) for number in range(2))
    nights = [CaseChanges(many), CaseChanges(many[1:]), CaseChanges((*fresh, *many[2:]))]
    states = []
    for number, night in enumerate(nights, start=2):
        update_issue(github(server), OWN, build_state(day(number), (9, 1, 0, 0), night))
        (issue,) = server.state.repositories[0].issues
        issue.state = "closed" if number == 2 else issue.state
        states.append(issue.state)
    assert states == ["closed", "closed", "open"]
    assert remarks(server) == ["2 cases turned wrong as of the nightly run of 2026-11-05, see above."]


def test_those_that_new_ones_push_off_the_list_are_not_told_as_new(server: GitHubServer) -> None:
    (turn,) = WRONG.wrong
    many = tuple(replace(turn, cell=f"cell-{number}") for number in range(SHOWN))
    fresh = tuple(replace(turn, cell=f"new-{number}", since=day(3)) for number in range(SHOWN + 3))
    update_issue(github(server), OWN, build_state(day(2), (9, 1, 0, 0), CaseChanges(many)))
    server.state.repositories[0].issues[0].state = "closed"
    update_issue(github(server), OWN, build_state(day(3), (9, 1, 0, 0), CaseChanges((*fresh, *many))))
    assert remarks(server) == ["33 cases turned wrong as of the nightly run of 2026-11-04, see above."]


def test_it_is_not_closed_without_a_word_when_what_it_said_cannot_be_read(server: GitHubServer) -> None:
    update_issue(github(server), OWN, WRONG)
    (issue,) = server.state.repositories[0].issues
    issue.body = issue.body.replace('"wrong"', '"wr0ng"')
    update_issue(github(server), OWN, replace(CALM, night=day(3)))
    assert issue.state == "closed"
    assert remarks(server) == ["Nothing is listed as wrong as of the nightly run of 2026-11-04."]


def test_what_is_not_measured_any_more_keeps_it_open_no_longer_and_is_told_once(server: GitHubServer) -> None:
    for night in (WRONG, GONE, GONE, replace(CALM, night=day(20))):
        update_issue(github(server), OWN, night)
        if night is GONE:
            (issue,) = server.state.repositories[0].issues
            assert "### No longer measured" in issue.body
            assert "### Wrong" not in issue.body
    assert issues(server) == [("Nightly: what changed", "closed")]
    assert remarks(server) == [
        "Nothing is listed as wrong any more, as of the nightly run of 2026-11-06: 1 case no longer measured."
    ]


def test_it_is_not_called_right_again_what_is_only_not_listed(server: GitHubServer) -> None:
    (turn,) = WRONG.wrong
    (right,) = RIGHT.right
    three = (turn, replace(turn, cell="another"), replace(turn, cell="less wrong than once"))
    update_issue(github(server), OWN, replace(WRONG, wrong=three))
    update_issue(github(server), OWN, replace(GONE, right=(replace(right, cell="another"),)))
    assert remarks(server) == [
        "Nothing is listed as wrong any more, as of the nightly run of 2026-11-06: 1 case right again, 1 case no longer measured."
    ]


def test_what_is_gone_opens_nothing_and_what_comes_back_does(server: GitHubServer) -> None:
    update_issue(github(server), OWN, GONE)
    assert not issues(server)
    for night in (WRONG, GONE, replace(WRONG, night=day(6))):
        update_issue(github(server), OWN, night)
    assert [state for _, state in issues(server)] == ["open"]
    assert remarks(server)[1:] == ["1 case turned wrong as of the nightly run of 2026-11-07, see above."]


def test_an_environment_that_left_the_set_is_seen_in_the_history(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for number in range(6):
        folder.keep(number, cell(case(ROUTER), environment=NEW))
    for number, verdict in enumerate((V.PASS, V.CORRUPT)):
        folder.keep(number, cell(case(ROUTER, verdict), environment=OLD))
    with folder.asked() as history:
        still, left = (read_nightly_state(history, date(2026, 11, 28), oldest) for oldest in (5, 3))
    assert still is not None
    assert left is not None
    assert ([turn.cell for turn in still.wrong], still.gone) == ([OLD.id], ())
    assert (left.wrong, [turn.cell for turn in left.gone], left.mood) == ((), [OLD.id], "calm")


def test_a_job_that_was_cut_off_remarks_once(server: GitHubServer) -> None:
    update_issue(github(server), OWN, WRONG)
    server.faults.append(Fault("PATCH", "/issues/", status=404, message="Not Found"))
    with pytest.raises(GitHubError):
        update_issue(github(server), OWN, RIGHT)
    update_issue(github(server), OWN, RIGHT)
    assert len(remarks(server)) == 1
    assert [state for _, state in issues(server)] == ["closed"]


def test_the_two_tracking_issues_of_the_bot_do_not_meet(server: GitHubServer) -> None:
    other = Issue(1, "Upstream", render_tracking_issue(TrackingState()))
    server.state.repositories[0].issues.append(other)
    before = other.body
    update_issue(github(server), OWN, WRONG)
    assert len(issues(server)) == 2
    assert other.body == before
    assert read_state(github(server), OWN) == TrackingState()


def test_somebody_elses_text_is_not_ours(server: GitHubServer) -> None:
    server.state.repositories[0].issues.append(Issue(1, "Mine", render_body(WRONG), "eve"))
    update_issue(github(server), OWN, WRONG)
    assert [issue.author for issue in server.state.repositories[0].issues] == ["eve", BOT]


# Nights that never begin


def test_a_night_that_never_begins_is_told_once_and_taken_back(server: GitHubServer) -> None:
    for hours in range(4):
        report_age(github(server), OWN, day(2), day(4 + hours // 3))
    assert [state for _, state in issues(server)] == ["open"]
    assert "**No nightly run has started since 2026-11-03.**" in server.state.repositories[0].issues[0].body
    report_age(github(server), OWN, day(6), day(6))
    assert [state for _, state in issues(server)] == ["closed"]
    assert remarks(server) == ["Nightly runs have started again: the newest is of 2026-11-07."]


def test_being_late_and_being_wrong_are_told_apart(server: GitHubServer) -> None:
    update_issue(github(server), OWN, WRONG)
    report_age(github(server), OWN, day(2), day(9))
    assert "`mimi:MimiModel` stock loader, load in float32 |" in server.state.repositories[0].issues[0].body
    update_issue(github(server), OWN, known(10, V.PASS, V.PASS, V.CRASH))
    assert remarks(server) == [
        "No nightly run has started since 2026-11-03: see the workflow `nightly`.",
        "Nightly runs have started again: the newest is of 2026-11-11.",
    ]
    assert [state for _, state in issues(server)] == ["open"]


def nightly(server: GitHubServer, state: str = "active") -> None:
    """The repository has the workflow since the first day."""
    server.state.repositories[0].workflows["nightly.yml"] = (state, f"{FIRST}T12:00:00Z")


def test_that_no_night_was_ever_kept_is_told_once_and_taken_back(server: GitHubServer) -> None:
    nightly(server)
    report_age(github(server), OWN, None, day(2))
    assert not issues(server)
    for number in (3, 3, 4):
        report_age(github(server), OWN, None, day(number))
    (issue,) = server.state.repositories[0].issues
    assert (
        "**There are no records of a nightly run.** The branch with the records is empty or does not exist.\nStart the workflow"
        in issue.body
    )
    assert (issue.state, remarks(server)) == ("open", [])
    update_issue(github(server), OWN, known(5, V.PASS))
    assert (issue.state, remarks(server)) == ("closed", ["Nightly runs have started: the newest is of 2026-11-06."])


@pytest.mark.parametrize("state", ["disabled_manually", "disabled_fork", "deleted"])
def test_a_repository_that_wants_no_nights_is_left_alone(server: GitHubServer, state: str) -> None:
    nightly(server, state)
    report_age(github(server), OWN, None, day(9))
    assert not issues(server)


def test_a_repository_without_the_workflow_is_left_alone(server: GitHubServer) -> None:
    report_age(github(server), OWN, None, day(9))
    report_age(github(server), OWN, day(8), day(9))
    assert not issues(server)


def test_whoever_disables_the_workflow_hears_no_more_of_it(server: GitHubServer) -> None:
    nightly(server)
    report_age(github(server), OWN, None, day(9))
    nightly(server, "disabled_manually")
    report_age(github(server), OWN, None, day(10))
    assert [state for _, state in issues(server)] == ["closed"]
    assert remarks(server) == ["Nightly runs are no longer expected: the workflow `nightly` is disabled."]


def test_a_night_that_the_issue_knows_was_kept_once(server: GitHubServer) -> None:
    nightly(server)
    update_issue(github(server), OWN, WRONG)
    for number in (4, 5):
        report_age(github(server), OWN, None, day(number))
    assert remarks(server) == ["No nightly run has started since 2026-11-03: see the workflow `nightly`."]

"""Which comment is ours and what becomes of it: pure decisions, then the same over HTTP."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.comment.state import MARKER, CommentState, Headline
from bot.comment.upsert import Create, Edit, Nothing, Skip, Supersede, continue_state, decide_action, find_ours
from bot.github.types import Comment

BOT = "zero3[bot]"
A, B, C = (letter * 40 for letter in "abc")
shas = st.text("0123456789abcdef", min_size=40, max_size=40)
numbers = st.integers(1, 2**53)
states = st.builds(
    CommentState,
    head=shas,
    base=shas,
    run=numbers,
    attempt=numbers,
    headline=st.sampled_from(Headline),
    since=shas,
    muted=st.booleans(),
    digest=st.just("") | st.text("0123456789abcdef", min_size=64, max_size=64),
)


def state(headline: str = "green", head: str = A, run: int = 7, attempt: int = 1) -> CommentState:
    return CommentState(head=head, base=C, run=run, attempt=attempt, headline=Headline(headline), since=head)


def comment(body: str, number: int = 1, author: str = BOT, author_type: str = "Bot") -> Comment:
    return Comment(number, author, body, author_type)


def written(state: CommentState, body: str = "All right.", number: int = 1) -> Comment:
    """Our comment as `decide` makes it."""
    action = decide_action([], BOT, state, body)
    assert isinstance(action, Create)
    return comment(action.body, number)


@given(states, st.text())
def test_a_state_is_read_back_from_the_comment_that_holds_it(state: CommentState, body: str) -> None:
    assert MARKER.parse(MARKER.sign(body, state)) == state
    assert MARKER.render(state).count("-->") == 1


def test_nothing_in_a_state_ends_its_marker() -> None:
    line = MARKER.render(replace(state(), digest="--><img>"))
    assert set("<>") & set(line[4:-3]) == set()


@given(states, states)
def test_a_comment_is_signed_once(old: CommentState, new: CommentState) -> None:
    assert MARKER.sign(MARKER.sign("Said.", old), new) == MARKER.sign("Said.", new)


def forged(**changes: object) -> str:
    return f"<!-- zero3-matrix {json.dumps(asdict(state()) | changes)} -->"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<!-- zero3-matrix -->",
        "<!-- zero3-matrix {} -->",
        f"<!-- zero3-matrix {'[' * 890} -->",
        f"> {MARKER.render(state())}",
        f"`{MARKER.render(state())}",
        f"{MARKER.render(state())}\nand more",
        f"{MARKER.render(state())[:-4]}",
        forged(head="a" * 39),
        forged(head=A + "\n"),
        forged(since="<b>"),
        forged(run="7"),
        forged(run=True),
        forged(run=0),
        forged(run=10**400),
        forged(run=7.0),
        forged(headline="perfect"),
        forged(muted=1),
        forged(more=1),
        forged(digest="x" * 64),
        forged(digest="a" * 5000),
    ],
)
def test_a_spoilt_marker_holds_no_state(body: str) -> None:
    assert MARKER.parse(body) is None


@given(st.text(alphabet=st.sampled_from('<!-- zero3-matrix{}":,[]1a>\n\x00')) | st.text())
def test_no_body_breaks_the_reader(body: str) -> None:
    assert MARKER.parse(body) is None


def test_web_editors_line_ends_do_not_matter() -> None:
    assert MARKER.parse(MARKER.sign("One\ntwo", state()).replace("\n", "\r\n") + "\r\n") == state()


@pytest.mark.parametrize(
    ("author", "author_type", "counts"),
    [
        (BOT, "Bot", True),
        (BOT.upper(), "Bot", True),
        (BOT, "User", False),
        ("mallory", "User", False),
        ("", "Bot", False),
    ],
)
def test_m4_only_what_the_bot_wrote_is_ours(author: str, author_type: str, *, counts: bool) -> None:
    existing = [comment(MARKER.sign("Mine, honestly", state()), 1, author, author_type)]
    assert len(find_ours(existing, BOT)) == counts
    assert isinstance(decide_action(existing, BOT, state("regressed", B, 8), "Wrong."), Edit | Supersede) == counts


def test_a_user_may_be_the_bot() -> None:
    assert find_ours([comment(MARKER.sign("", state()), 1, "octocat", "User")], "octocat")


def test_other_comments_of_the_bot_are_left_alone() -> None:
    assert decide_action(
        [comment("Hello"), comment("Superseded by [a newer result](x).", 2)], BOT, state(), "All right."
    ) == (
        Create(MARKER.sign("All right.", replace(state(), digest=MARKER.parse(written(state()).body).digest)))  # type: ignore[union-attr]
    )


def test_the_comment_of_the_newest_run_counts_wherever_it_stands() -> None:
    existing = [written(state(run=9), number=1), written(state(run=8), number=2), comment("<!-- zero3-matrix ? -->", 3)]
    assert [one.comment.id for one in find_ours(existing, BOT)] == [3, 2, 1]
    assert decide_action(existing, BOT, state(run=8), "Else.") == Skip("it already reports the newer run 9, attempt 1")


@pytest.mark.parametrize(
    ("run", "attempt", "stale"), [(6, 3, True), (7, 1, True), (7, 2, False), (7, 3, False), (8, 1, False)]
)
def test_an_older_run_never_replaces_a_newer_one(run: int, attempt: int, *, stale: bool) -> None:
    action = decide_action([written(state(run=7, attempt=2))], BOT, state(head=B, run=run, attempt=attempt), "Else.")
    assert isinstance(action, Skip) == stale


def test_what_is_said_already_is_not_said_again() -> None:
    assert decide_action([written(state())], BOT, state(run=8), "All right.") == Nothing("it already says this")
    assert isinstance(decide_action([written(state())], BOT, state(run=8), "All right!"), Edit)


def test_the_caller_may_know_better_what_says_the_same() -> None:
    digest = "1" * 64
    existing = [written(replace(state(), digest=digest), "All right, see run 7.")]
    assert isinstance(
        decide_action(existing, BOT, replace(state(run=8), digest=digest), "All right, see run 8."), Nothing
    )


@pytest.mark.parametrize("headline", list(Headline))
def test_a_muted_comment_stays(headline: Headline) -> None:
    existing = [written(replace(state(), muted=True))]
    assert decide_action(existing, BOT, state(headline, B, 8), "News.") == Nothing("it is muted")


@pytest.mark.parametrize("old", list(Headline))
@pytest.mark.parametrize("new", list(Headline))
def test_people_are_notified_of_a_regression_and_of_nothing_else(old: Headline, new: Headline) -> None:
    action = decide_action([written(state(old))], BOT, state(new, B, 8), "News.")
    assert isinstance(action, Supersede) == (old is not Headline.REGRESSED and new is Headline.REGRESSED)
    assert isinstance(action, Edit | Supersede)
    found = MARKER.parse(action.body)
    assert found
    assert (found.head, found.since) == (B, A if old is new else B)


def test_since_is_the_first_head_of_an_unbroken_row() -> None:
    existing: list[Comment] = []
    found = []
    for headline, head in [("green", C), ("regressed", A), ("regressed", B), ("regressed", C), ("green", C)]:
        new = continue_state(state(headline, head), existing, BOT)
        existing = [comment(MARKER.sign("Said.", new))]
        found.append(new.since)
    assert found == [C, A, A, A, C]


def test_a_spoilt_comment_is_put_right() -> None:
    action = decide_action([comment("Edited\n\n<!-- zero3-matrix oops -->", 5)], BOT, state(), "All right.")
    assert isinstance(action, Edit)
    assert action.comment == 5
    assert MARKER.parse(action.body)

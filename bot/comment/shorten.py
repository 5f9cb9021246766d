"""Keeps text within a size budget: parts of its context shrink in a fixed order, so that no table or fence is cut.

PURE: no input or output.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from bot.comment.context import CommentView

COMMENT_LIMIT = 60_000
"""In characters. GitHub says 65,536 and means 262,144 bytes; a marker and other counts of length find room."""
UTF16_LIMIT = 65_536
CHECK_LIMIT = 65_535
"""GitHub's OpenAPI description, `checks/create`: maxLength of `output.summary`; kept in bytes, the strictest reading."""
SUMMARY_LIMIT = 1024 * 1024
"""In bytes: a longer step summary is dropped as a whole."""

Step = tuple[str, int]
"""A part of the context, and how many of its items to keep."""

CALM: tuple[Step, ...] = (
    ("regressed", 10),
    ("fixed", 10),
    ("still_broken", 20),
    ("flaky", 20),
    ("gaps", 10),
    ("places", 10),
)
"""What a comment shows at most, however much room there is: the rest is in the full report."""

SHORTENING: tuple[Step, ...] = (
    ("places", 5),
    ("still_broken", 100),
    ("flaky", 100),
    ("fixed", 100),
    ("gaps", 50),
    ("still_broken", 10),
    ("flaky", 10),
    ("fixed", 10),
    ("regressed", 100),
    ("gaps", 10),
    ("still_broken", 3),
    ("flaky", 3),
    ("fixed", 3),
    ("regressed", 10),
    ("places", 1),
    ("gaps", 3),
    ("revisions", 4),
    ("regressed", 3),
    ("still_broken", 0),
    ("flaky", 0),
    ("places", 0),
    ("fixed", 0),
    ("revisions", 0),
    ("gaps", 1),
    ("regressed", 1),
    ("gaps", 0),
    ("regressed", 0),
)
"""Which parts shrink first. What a reader acts on, regressions and what was not measured, shrinks last."""


def apply_steps(view: CommentView, steps: Iterable[Step]) -> CommentView:
    """Returns `view` after all of `steps`."""
    for part, number in steps:
        view = replace(view, **{part: getattr(view, part).first(number)})
    return view


def shorten(view: CommentView, render: Callable[[CommentView], str], fits: Callable[[str], bool]) -> str:
    """Returns the text that `render` makes of `view`, shortened step by step until it `fits`."""
    text = render(view)
    for step in SHORTENING:
        if fits(text):
            break
        shorter = apply_steps(view, [step])
        if shorter != view:
            view, text = shorter, render(shorter)
    return text


def fits_comment(text: str, limit: int = COMMENT_LIMIT) -> bool:
    """Tests whether GitHub takes `text` as a comment, by each way of counting: characters and UTF-16 units."""
    return len(text) <= limit and len(text.encode("utf-16-le")) // 2 <= UTF16_LIMIT

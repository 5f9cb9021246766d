"""PURE. One comment per pull request: found by author and marker, edited in place, a new one when green turned worse.

The marker is the last line of the comment, so that a mail about it begins with the answer. The author counts too, since
other bots quote markers (https://github.com/pytorch/test-infra/issues/8163).

PURE: no input or output.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError

from bot.comment.context import Headline
from bot.github.fields import Number, Sha
from bot.github.types import Comment

_MARKER: Final = re.compile(r"^<!-- zero3-matrix (.{0,900}) -->\s*\Z", re.MULTILINE)


@dataclass(frozen=True)
class State:
    """What a comment remembers of the run it tells about.

    `since` is the head from which on `headline` holds without a break. `digest` changes when the body says something
    else: `bot.comment.outputs.digest`, or that of the body where it is left empty.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    head: Sha
    base: Sha
    run: Number
    attempt: Number
    headline: Headline
    since: Sha
    muted: bool = False
    digest: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""

    @property
    def age(self) -> tuple[int, int]:
        """Sorts states by run and attempt: GitHub counts both up."""
        return self.run, self.attempt


_STATE: Final = TypeAdapter(State)


@dataclass(frozen=True)
class Posted:
    """A comment of ours; `state` is None where somebody has spoilt its marker."""

    comment: Comment
    state: State | None


@dataclass(frozen=True)
class Create:
    """Write the first comment."""

    body: str


@dataclass(frozen=True)
class Edit:
    """Put `body` in place of the comment's."""

    comment: int
    body: str


@dataclass(frozen=True)
class Supersede:
    """Write a new comment, which notifies people; each older one of ours becomes a line that links to it."""

    body: str


@dataclass(frozen=True)
class Nothing:
    """Leave the comment as it is: it says all there is to say, or people muted it."""

    reason: str


@dataclass(frozen=True)
class Skip:
    """Leave everything as it is: what we would say is out of date."""

    reason: str


Action = Create | Edit | Supersede | Nothing | Skip


def parse(body: str) -> State | None:
    """The state in the last line of `body`, None where there is none or anything about it is wrong."""
    found = _MARKER.search(body)
    with suppress(ValidationError):
        return _STATE.validate_json(found[1]) if found else None
    return None


def write(state: State) -> str:
    """The marker line that `parse` reads. No text in it can end the HTML comment."""
    text = json.dumps(asdict(state), separators=(",", ":")).replace("<", r"\u003c").replace(">", r"\u003e")
    return f"<!-- zero3-matrix {text} -->"


def signed(body: str, state: State) -> str:
    """`body` with the marker of `state` as its last line, in place of the one it has."""
    return f"{_MARKER.sub('', body).rstrip()}\n\n{write(state)}"


def ours(existing: Sequence[Comment], login: str) -> tuple[Posted, ...]:
    """The comments with our marker that `login` wrote, that of the newest run last."""
    found = [
        Posted(comment, parse(comment.body))
        for comment in existing
        if written_by(comment, login) and _MARKER.search(comment.body)
    ]
    return tuple(sorted(found, key=lambda one: (one.state.age if one.state else (0, 0), one.comment.id)))


def written_by(comment: Comment, login: str) -> bool:
    """Whether `login` wrote the comment; an app's login counts for an app's comment alone."""
    return comment.author.lower() == login.lower() and (comment.author_type == "Bot" or not login.endswith("[bot]"))


def continued(new: State, existing: Sequence[Comment], login: str) -> State:
    """`new` with the `since` of the comment it follows, if that has the same headline; else it holds since this head."""
    posted = ours(existing, login)
    old = posted[-1].state if posted else None
    return replace(new, since=old.since if old and old.headline == new.headline else new.head)


def decide(existing: Sequence[Comment], login: str, new: State, body: str) -> Action:
    """What to do so that the pull request has one right comment; `body` comes without a marker."""
    state = continued(replace(new, digest=new.digest or hashlib.sha256(body.encode()).hexdigest()), existing, login)
    posted = ours(existing, login)
    if not posted:
        return Create(signed(body, state))
    old = posted[-1].state
    if reason := _outdated(old, state):
        return Skip(reason)
    if reason := _quiet(old, state):
        return Nothing(reason)
    if old and old.headline is not Headline.REGRESSED and state.headline is Headline.REGRESSED:
        return Supersede(signed(body, state))
    return Edit(posted[-1].comment.id, signed(body, state))


def _outdated(old: State | None, new: State) -> str:
    if old and old.age > new.age:
        return f"the comment already tells about the newer run {old.run}, attempt {old.attempt}"
    return ""


def _quiet(old: State | None, new: State) -> str:
    if old and old.muted:
        return "the comment is muted"
    return "the comment says this already" if old and old.digest == new.digest else ""

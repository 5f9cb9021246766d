"""The state that our comment on a pull request keeps of the run that it reports.

PURE: no input or output.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, StringConstraints

from bot.github.marker import Marker
from bot.github.types import Number, Sha


class Headline(StrEnum):
    """The result of a comparison, worst first. Only `green` says that everything planned was measured and is right."""

    REGRESSED = "regressed"
    UNCERTAIN = "uncertain"
    BROKEN_BEFORE = "broken_before"
    GREEN = "green"


@dataclass(frozen=True)
class CommentState:
    """What a comment keeps of the run that it reports.

    `since` is the first head of those with this `headline`, without a break. `digest` changes when the comment says
    something else: `bot.comment.outputs.compute_digest`, or that of the body where it is left empty.
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


MARKER: Final = Marker("zero3-matrix", CommentState, longest=900)

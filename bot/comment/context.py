"""The frozen context of the comment, the check run and the step summary. Golden tests compare it, not its text.

PURE: no input or output.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from bot.comment.state import Headline
from bot.loading_code.affected import Touched
from bot.report.context import EvidenceView
from bot.text import Code, Sentence
from matrix.comparison.plan import ComparisonPlan

T = TypeVar("T")


@dataclass(frozen=True)
class Facts:
    """What is known besides the comparison, all of it from GitHub and the plan, nothing from records.

    `since` is the head of the first push with the present headline. `notes` say what was not planned and why.
    `failed_jobs` names jobs that ended without a result. `commands` is whether the repository takes `/zero3` comments,
    `selector` narrows the run, if it was narrowed. `project_url` is the page of this project.
    `uncovered` is whether only canaries cover the change, `measuring_edit` what it edits of the code
    that measures it.
    """

    plan: ComparisonPlan
    touched: tuple[Touched, ...] = ()
    since: str = ""
    report_url: str = ""
    run_url: str = ""
    notes: tuple[Sentence, ...] = ()
    failed_jobs: tuple[str, ...] = ()
    commands: bool = False
    selector: tuple[str, ...] = ()
    project_url: str = ""
    uncovered: bool = False
    measuring_edit: Sentence = ()


@dataclass(frozen=True)
class Part(Generic[T]):
    """A list that may be shortened: the first `items` of `total`."""

    items: tuple[T, ...] = ()
    total: int = 0

    @classmethod
    def whole(cls, items: tuple[T, ...]) -> "Part[T]":
        """Returns all of `items`."""
        return cls(items, len(items))

    def first(self, number: int) -> "Part[T]":
        """Returns at most `number` items of it."""
        return Part(self.items[:number], self.total)

    @property
    def more(self) -> int:
        """Returns how many items are not shown."""
        return self.total - len(self.items)


@dataclass(frozen=True)
class Upstream:
    """A failure that is known upstream. The `links`, texts and addresses, notify nobody there of the comment."""

    title: str
    outlook: str
    links: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Row:
    """One failure of an architecture: which checks show it, its verdicts on base and head, and the evidence.

    `note` says which change caused a regression, and for anything else the reason of its outcome; `known` what is known
    of it upstream.
    """

    architecture: Code
    checks: str
    change: str
    evidence: EvidenceView | None
    note: str = ""
    known: tuple[Upstream, ...] = ()


@dataclass(frozen=True)
class Gap:
    """Something that was not measured and why; `cases` names the first that are affected."""

    why: Sentence
    cases: Part[Code] = Part()


@dataclass(frozen=True)
class RevisionView:
    """One revision: what its run installed, from the plan, and what it measured with, from its records."""

    name: str
    pins: Code
    measured: Code


@dataclass(frozen=True)
class TouchedPlace:
    """A place of loading code that the change touches, and why it counts. `path` and `lines` come from GitHub."""

    path: str
    symbol: str
    lines: tuple[int, int] | None
    why: Sentence


@dataclass(frozen=True)
class Reproduction:
    """The line that reproduces one case, in a checkout of this project, at `commit` where that is what changed."""

    line: Code
    commit: str = ""


@dataclass(frozen=True)
class CommentView:
    """Everything that a comment, a check run or a step summary may show. Each `Part` may be shortened."""

    repository: str
    number: int
    base: str
    head: str
    since: str
    headline: Headline
    answer: Sentence
    tally: str
    report_url: str
    run_url: str
    command: Reproduction | None
    regressed: Part[Row]
    fixed: Part[Row]
    still_broken: Part[Row]
    flaky: Part[Row]
    gaps: Part[Gap]
    revisions: Part[RevisionView]
    places: Part[TouchedPlace]
    commands: bool = False
    project_url: str = ""

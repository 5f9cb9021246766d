"""The parts that the contexts of pages are made of."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from bot.report.context import ErrorView, SiteView
from bot.text import Code, Sentence, plain
from matrix.model import Check, Device, Loader, Tensors
from matrix.verdicts import Verdict


class Words:
    """A sentence whose parts from outside are marked; plain text in JSON.

    No dataclass and no tuple, which JSON would take apart.
    """

    __slots__ = ("parts",)

    def __init__(self, parts: Sentence) -> None:
        self.parts = parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Words) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __repr__(self) -> str:
        return f"Words({self.parts!r})"

    def __str__(self) -> str:
        return plain(self.parts)


def words(*parts: str) -> Words:
    """A sentence for a page; parts from outside are `Code`."""
    return Words(parts)


@dataclass(frozen=True)
class Link:
    """A page of the site by its path from the root, with what it is called."""

    text: str
    page: str


@dataclass(frozen=True)
class EnvironmentLink:
    """An environment and what is to know of it wherever it is named. `stale` says why its verdicts may be old; empty if not."""

    id: Code
    label: Code
    page: str
    transformers: Code
    deepspeed: Code
    device: Device
    night: date
    stale: tuple[Words, ...]


@dataclass(frozen=True)
class Share:
    """How many of the cases of an environment pass, of all that its versions have: `unsupported` ones are left out of `total`,
    untested ones are not. `percent` is rounded down, so that it is 100 only when all pass; None without any case.
    """

    percent: int | None
    passed: int
    total: int
    untested: int
    unsupported: int
    worst: Verdict | None


@dataclass(frozen=True)
class VerdictCount:
    """How often a verdict occurs."""

    verdict: Verdict
    cases: int


@dataclass(frozen=True)
class LoaderShare:
    """A share of the cases with one loader."""

    loader: Loader
    share: Share


@dataclass(frozen=True)
class Square:
    """One environment in a heat map: `measured`, and if it never was, whether that is because it `failed`."""

    environment: EnvironmentLink
    share: Share
    measured: bool
    failed: bool


@dataclass(frozen=True)
class HeatRow:
    """The squares of a transformers version, a tuple of them for each deepspeed of the map; empty where not measured."""

    transformers: Code
    squares: tuple[tuple[Square, ...], ...]


@dataclass(frozen=True)
class Switch:
    """A position of the heat map's switch."""

    name: str
    text: str
    page: str
    on: bool


@dataclass(frozen=True)
class Heat:
    """A heat map: transformers down, deepspeed across, the newest first. `check` is None for all of them."""

    device: Device
    loader: Loader
    check: Check | None
    deepspeeds: tuple[Code, ...]
    rows: tuple[HeatRow, ...]
    switches: tuple[tuple[Switch, ...], ...]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts whose letters are in the map, the worst first."""
        squares = [square for row in self.rows for place in row.squares for square in place]
        shown = {
            Verdict.ENVIRONMENT if square.failed and not square.measured else square.share.worst for square in squares
        }
        return tuple(verdict for verdict in Verdict if verdict in shown)


@dataclass(frozen=True)
class CaseLink:
    """A case wherever it is named."""

    architecture: Code
    loader: Loader
    check: Check
    verdict: Verdict
    page: str


@dataclass(frozen=True)
class Change:
    """Cases of an environment that had the verdict `before` and now have `after`; `before` is None when they are new.
    `more` of them are not named.
    """

    environment: EnvironmentLink
    before: Verdict | None
    after: Verdict
    cases: tuple[CaseLink, ...]
    more: int


@dataclass(frozen=True)
class FailureLink:
    """A distinct upstream failure and its page."""

    verdict: Verdict
    text: Words
    page: str


@dataclass(frozen=True)
class EnvironmentLine:
    """An environment in the list of all: the share of its cases that pass, per loader."""

    environment: EnvironmentLink
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class Cell:
    """A case in a table; `verdict` is None where it is untested."""

    loader: Loader
    check: Check
    verdict: Verdict | None
    page: str


@dataclass(frozen=True)
class ArchitectureLine:
    """An architecture in an environment, with its four cases; `anchor` names the first line of a group, or nothing."""

    anchor: str
    architecture: Code
    family: Code
    page: str
    worst: Verdict | None
    cells: tuple[Cell, ...]

    @property
    def verdicts(self) -> tuple[Verdict | None, ...]:
        """The verdicts of its cases."""
        return tuple(cell.verdict for cell in self.cells)


Axis = Literal["transformers", "deepspeed"]
Outcome = Literal["right", "wrong", "crash", "hang", "flaky", "not partitioned"]


@dataclass(frozen=True)
class Span:
    """Neighbouring measured versions, the oldest first, where a case has the same `outcome`; `right` when it passes.

    `begins` are the pages of the environments of the first version.
    """

    right: bool
    outcome: Outcome
    first: Code
    last: Code
    begins: tuple[str, ...]


@dataclass(frozen=True)
class Frontier:
    """Where a case turns from wrong to right or back along one `axis`, with each of the `others` on the other one.

    A span that is `right` after one that is not begins with a first good version, and the other way round.
    """

    device: Device
    loader: Loader
    check: Check
    axis: Axis
    others: tuple[Code, ...]
    spans: tuple[Span, ...]
    text: Words


@dataclass(frozen=True)
class GridCell:
    """An environment in an architecture's grid, one case per check; `edge` says of what it is the first, as a frontier has it."""

    environment: EnvironmentLink
    cells: tuple[Cell, ...]
    edge: str


@dataclass(frozen=True)
class GridRow:
    """The environments of a transformers version, for each deepspeed of the grid."""

    transformers: Code
    places: tuple[tuple[GridCell, ...], ...]


@dataclass(frozen=True)
class Grid:
    """An architecture on one device with one loader: transformers down, deepspeed across, the newest first."""

    device: Device
    loader: Loader
    deepspeeds: tuple[Code, ...]
    rows: tuple[GridRow, ...]


@dataclass(frozen=True)
class Sites:
    """Buffer sites of an architecture; not `complete` when they are only those that findings name."""

    complete: bool
    names: tuple[Code, ...]


@dataclass(frozen=True)
class Advice:
    """An environment in which not everything is right, and the nearest in which it is; None when there is none."""

    environment: EnvironmentLink
    nearest: EnvironmentLink | None


@dataclass(frozen=True)
class Segment:
    """Nights in a row that say the same of a case; `verdict` is None where none of them measured it."""

    verdict: Verdict | None
    first: date
    last: date
    nights: int


@dataclass(frozen=True)
class CaseEntry:
    """One case with its evidence; `control` says what a plain load did, `strip` is its history, the oldest first."""

    anchor: str
    loader: Loader
    check: Check
    verdict: Verdict
    night: date
    since: date
    tensors: Tensors
    compared: str
    wrong: int
    sites: tuple[SiteView, ...]
    more_sites: int
    error: ErrorView | None
    control: str
    confirmed: tuple[int, int]
    seconds: float
    command: Code
    failures: tuple[FailureLink, ...]
    strip: tuple[Segment, ...]

    @property
    def cut(self) -> bool:
        """Whether some wrong tensors are not shown."""
        return bool(self.more_sites or any(site.more for site in self.sites))


@dataclass(frozen=True)
class KnownLink:
    """What is known upstream of a failure."""

    id: str
    title: str
    issues: tuple[str, ...]
    state: str
    fixed_in: str


@dataclass(frozen=True)
class FailurePlace:
    """An environment that a failure hits, with its cases."""

    environment: EnvironmentLink
    cases: tuple[CaseLink, ...]


@dataclass(frozen=True)
class FailureLine:
    """A failure in the list of all, and how far it reaches."""

    failure: FailureLink
    rule: Words
    cases: int
    architectures: int
    environments: int
    known: tuple[KnownLink, ...]


@dataclass(frozen=True)
class Tally:
    """What the site covers and how often it was wrong itself. `flaky` counts cases whose reruns disagree now; `withdrawn`
    those that were red once, then passed with the same inputs, None when there is no history to tell it from. `refused`
    counts record files of the newest night that do not count, being damaged or of a cell that another file tells better.
    """

    environments: int
    architectures: int
    cases: int
    measured: int
    nights: int
    first: date | None
    flaky: int
    withdrawn: int | None
    refused: int

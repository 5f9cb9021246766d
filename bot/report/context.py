"""What templates show, as frozen data classes. Golden tests compare these, not the rendered text.

PURE: no input or output.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from bot.text import Code, Sentence, count, join_words
from bot.verdict_words import describe_variants, is_failing
from matrix.advice.known import Known
from matrix.checks import VARIANTS
from matrix.environments.packages import CROSSED, INSTALLED, PINNED
from matrix.model import EnvironmentInfo, Kind, Loader, Precision, Timing, Variant, What
from matrix.text import describe_limits
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class ErrorView:
    """An exception as the measured code raised it, clipped."""

    type: Code
    message: Code
    frame: Code
    ranks: str


@dataclass(frozen=True)
class Unchecked:
    """Architectures of the catalog that were not checked, for the same reason; all of them where none is named.

    `where` has the checks and precisions in words; empty for all of them.
    """

    reason: Code
    architectures: tuple[Code, ...]
    where: str = ""


@dataclass(frozen=True)
class CoverageView:
    """How many of the architectures of the catalog that an environment has were checked, and why the others were not.

    `sites` and `float32` are of how many buffer sites and module classes kept in float32, and how many there are.
    `popular` are the same two numbers of popular architectures, `cases` of architecture x check x precision. `unreached` are buffers registered in the sources of its transformers but found in no model.
    """

    checked: int
    discovered: int
    unchecked: tuple[Unchecked, ...]
    unreached: tuple[Code, ...] = ()
    sites: tuple[int, int] = (0, 0)
    float32: tuple[int, int] = (0, 0)
    popular: tuple[int, int] = (0, 0)
    cases: tuple[int, int] = (0, 0)

    @property
    def words(self) -> str:
        """How many architectures were checked, how many buffer sites and module classes they have, and how often, in words."""
        share = 100 * self.checked / self.discovered if self.discovered else 100.0
        checked = f"{self.checked:,} of {count(self.discovered, 'architecture')} checked ({share:.1f}%)"
        sites = f"{self.sites[0]:,} of {count(self.sites[1], 'buffer site')}"
        kept = f" and {self.float32[0]:,} of {self.float32[1]:,} module classes that a float32 list names"
        popular = f"; {self.popular[0]:,} of {self.popular[1]:,} popular ones" if self.popular[1] else ""
        every = f"{self.cases[0]:,} of {self.cases[1]:,} combinations of architecture, check and precision"
        return f"{checked}, with {sites}{kept if self.float32[1] else ''}{popular}; {every}"

    @property
    def unreached_words(self) -> str:
        """How many buffers were found in the sources only, in words."""
        return f"{count(len(self.unreached), 'buffer')} registered in the sources but found in no model"


@dataclass(frozen=True)
class EnvironmentView:
    """One environment and how far its measurement got. `untested` counts planned cases without a verdict.

    `coverage` is None where the catalog does not know that version of transformers. `shared` are the precisions in which
    the fixed loader is the stock one, and was not run. `spared` counts the cases in which it was left out, since the
    stock one is right or raises. `notes` are what a user should know though nothing fails of it.
    """

    anchor: str
    label: Code
    info: EnvironmentInfo
    started: str
    timing: Timing
    planned: int
    measured: int
    untested: int
    complete: bool
    error: ErrorView | None
    coverage: CoverageView | None = None
    shared: tuple[Precision, ...] = ()
    spared: int = 0
    notes: tuple[Sentence, ...] = ()

    @property
    def versions(self) -> tuple[tuple[str, str], ...]:
        """Name and version of python and of each package that has a field of its own in records."""
        named = ("python", *PINNED, *CROSSED, *INSTALLED)
        return tuple((name, vars(self.info)[name]) for name in named)

    @property
    def report_limits(self) -> str:
        """What its transformers does not tell in the loading report, in a sentence; empty where it tells all."""
        return describe_limits(self.info.report_limits)

    @property
    def covered(self) -> str:
        """The coverage, in words."""
        known = self.coverage.words if self.coverage else "coverage unknown: the catalog was not made with this version"
        same = f"; in {join_words(self.shared)} the fixed loader is the stock one, so one measurement serves both"
        spared = f"; the fixed loader was not measured in {count(self.spared, 'case')}, where the stock one is right or raises"
        return known + (same if self.shared else "") + (spared if self.spared else "")

    @property
    def device(self) -> str:
        """Device, backend and ranks that its verdicts belong to: `cpu/gloo, 2 ranks`."""
        return f"{self.info.device}/{self.info.backend}, {count(self.info.world_size, 'rank')}"

    @property
    def gap(self) -> str:
        """What was not measured, in words; empty where all planned cases were."""
        if self.error and not self.measured:
            return "could not be measured"
        if self.untested:
            return f"incomplete: {self.measured:,} of {count(self.planned, 'planned case')} measured"
        return "" if self.complete else "incomplete: the measurement stopped before its end"


@dataclass(frozen=True)
class SummaryRow:
    """How many cases of an environment have each verdict with a loader, in what they are `trained_in`."""

    loader: Loader
    trained_in: str
    counts: Counter[Verdict]

    @property
    def measured(self) -> int:
        """How many cases have a verdict."""
        return self.counts.total()


@dataclass(frozen=True)
class Column:
    """A column of the heat map: an environment and a loader."""

    environment: EnvironmentView
    loader: Loader
    trainings: Mapping[str, Counter[Verdict]]
    """How many cases have each verdict, for each precision that was measured."""

    @property
    def counts(self) -> Counter[Verdict]:
        """How many cases have each verdict."""
        return sum(self.trainings.values(), Counter())

    @property
    def measured(self) -> int:
        """How many cases have a verdict."""
        return self.counts.total()


@dataclass(frozen=True)
class CaseView:
    """One case: where its detail is (`anchor`), what it compared, and the command that reproduces it alone."""

    anchor: str
    environment: EnvironmentView
    architecture: Code
    variant: Variant
    verdict: Verdict
    compared: str
    wrong: int
    confirmed: tuple[int, int]
    seconds: float
    command: Code

    @property
    def loader(self) -> Loader:
        """The loader."""
        return self.variant.loader

    @property
    def check(self) -> str:
        """The check, and what it is done in."""
        return self.variant.what


@dataclass(frozen=True)
class TensorView:
    """One wrong tensor, with the expected and the actual values of its first wrong elements."""

    tensor: Code
    expected: Code
    actual: Code
    elements: str
    detail: Code


@dataclass(frozen=True)
class SiteView:
    """Tensors of one buffer site that are wrong in the same way on the same ranks.

    `holds` says what they hold, `reported` whether the loader reported them, and whether `deepspeed.initialize` does it
    without ZeRO-3. `more` of `total` tensors are not shown.
    """

    site: Code
    what: What
    kind: Kind
    holds: str
    ranks: str
    reported: str
    total: int
    tensors: tuple[TensorView, ...]
    more: int


@dataclass(frozen=True)
class EvidenceView:
    """Cases of one architecture with the same findings: `total` wrong tensors by site; `more_sites` are not shown."""

    verdict: Verdict
    compared: str
    total: int
    sites: tuple[SiteView, ...]
    more_sites: int
    error: ErrorView | None
    cases: tuple[CaseView, ...]
    differences: tuple[Sentence, ...] = ()
    """What differs between the loading report and that of a plain load."""

    @property
    def gist(self) -> Hashable:
        """What is wrong, without the values, which differ from precision to precision."""
        sites = tuple((one.site, one.what, one.kind, one.ranks, one.reported, one.total) for one in self.sites)
        return sites, self.more_sites, self.error, self.differences


@dataclass(frozen=True)
class FailingRow:
    """Cases of an architecture that fail alike with a loader, with the evidence of the first."""

    cases: tuple[CaseView, ...]
    evidence: EvidenceView

    @property
    def first(self) -> CaseView:
        """The case that the evidence is of."""
        return self.cases[0]

    @property
    def checks(self) -> str:
        """What fails in what: `load and save in float32 and bf16`."""
        return describe_variants(case.variant for case in self.cases)


@dataclass(frozen=True)
class HeatCell:
    """An architecture in a column: its cases in the order of the report's checks, None where nothing was measured."""

    column: Column
    worst: Verdict | None
    cases: tuple[CaseView | None, ...]


@dataclass(frozen=True)
class ArchitectureView:
    """A row of the heat map and the evidence behind it, worst first."""

    anchor: str
    id: Code
    counts: Counter[Verdict]
    cells: tuple[HeatCell, ...]
    evidence: tuple[EvidenceView, ...]

    @property
    def class_name(self) -> Code:
        """The model class, or the whole id where it names none."""
        return Code(self.id.partition(":")[2] or self.id)

    @property
    def model_type(self) -> Code:
        """The `model_type` of its configuration."""
        return Code(self.id.partition(":")[0] if ":" in self.id else "")


@dataclass(frozen=True)
class Family:
    """Architectures with the same sort of buffers; unnamed where the catalog does not know them."""

    name: Code
    architectures: tuple[ArchitectureView, ...]


@dataclass(frozen=True)
class Statement:
    """One kind of failure in words, for all architectures, loaders and environments that have it.

    `where` names environments and loaders, `sentence` says what happened. `cases` begins with the quoted one, of which
    `known` are the entries of known.toml that explain it.
    """

    verdict: Verdict
    where: Sentence
    sentence: Sentence
    cases: tuple[CaseView, ...]
    known: tuple[Known, ...] = ()

    @property
    def example(self) -> CaseView:
        """The case that the sentence quotes."""
        return self.cases[0]


@dataclass(frozen=True)
class Report:
    """Everything a template may show. `verdicts` are those that occur, worst first."""

    answer: str
    environments: tuple[EnvironmentView, ...]
    verdicts: tuple[Verdict, ...]
    checks: tuple[str, ...]
    columns: tuple[Column, ...]
    families: tuple[Family, ...]
    findings: tuple[Statement, ...]

    @property
    def architectures(self) -> tuple[ArchitectureView, ...]:
        """Every row, in the order of the heat map."""
        return tuple(view for family in self.families for view in family.architectures)

    @property
    def gaps(self) -> tuple[EnvironmentView, ...]:
        """The environments where some planned cases were not measured."""
        return tuple(view for view in self.environments if view.gap)

    def rows(self, environment: EnvironmentView) -> list[SummaryRow]:
        """Returns the rows of an environment in the summary."""
        columns = [column for column in self.columns if column.environment is environment]
        return [SummaryRow(one.loader, *found) for one in columns for found in one.trainings.items()]

    def failing(self, environment: EnvironmentView) -> list[FailingRow]:
        """Returns the failing cases of an environment with their evidence, worst first."""
        pairs = [(case, found) for row in self.architectures for found in row.evidence for case in found.cases]
        kept = [(case, found) for case, found in pairs if case.environment is environment and is_failing(case.verdict)]
        alike: dict[Hashable, list[tuple[CaseView, EvidenceView]]] = defaultdict(list)
        for case, found in sorted(kept, key=lambda pair: (pair[0].verdict.rank, VARIANTS.index(pair[0].variant))):
            alike[case.architecture, case.loader, case.verdict, case.confirmed, found.gist].append((case, found))
        return [FailingRow(tuple(case for case, _ in same), same[0][1]) for same in alike.values()]

    @property
    def infrastructure(self) -> bool:
        """Whether an environment, or a case in one, could not be measured for reasons outside of the models."""
        return Verdict.ENVIRONMENT in self.verdicts or any(view.error for view in self.environments)

"""PURE. Says what went wrong in words: one statement for all cases that fail alike, the worst first."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bot.report.context import CaseView, Statement
from bot.report.evidence import describe_report_difference
from bot.text import Code, Sentence, capitalize, clip, count, describe_ranks, format_values, join_words
from bot.verdict_words import describe_control, describe_reported, describe_trainings, describe_verdict
from matrix.advice.known import Known
from matrix.checks import CHECKS, find_variants
from matrix.model import Case, CaseKey, Cell, Check, Failure, Finding, Variant
from matrix.text import KINDS, join_lines
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class Placed:
    """A case of a run with its view."""

    case: Case
    view: CaseView


def summarize_cells(cells: Sequence[Cell]) -> str:
    """Summarizes all cells in one or two sentences, and always says what was not measured."""
    verdicts = Counter(case.verdict for cell in cells for case in cell.cases)
    measured = sum(number for verdict, number in verdicts.items() if verdict.row.measured)
    wrong = [verdict for verdict in Verdict if verdict.wrong_values and verdicts[verdict]]
    trained_in = describe_trainings(
        find_variants(case.key for cell in cells for case in cell.cases if case.verdict.row.measured)
    )
    cases = f"{count(measured, 'case')} measured in {trained_in}"
    if wrong:
        named = join_words([f"{verdicts[verdict]:,} {verdict.row.word}" for verdict in wrong])
        total = sum(verdicts[verdict] for verdict in wrong)
        first = f"{total:,} of {cases} went wrong: {named}."
    else:
        first = f"No wrong value in {cases}." if measured else "Nothing was measured."
    return " ".join([first, *_gaps(cells)])


def _gaps(cells: Sequence[Cell]) -> list[str]:
    failed = sum(cell.error is not None for cell in cells)
    untested = sum(max(0, cell.planned - len(cell.cases)) for cell in cells)
    gaps = [f"{count(failed, 'environment')} could not be measured."] if failed else []
    were = "was" if untested == 1 else "were"
    return [*gaps, f"{count(untested, 'planned case')} {were} not measured."] if untested else gaps


def build_statements(cases: Iterable[Placed], known: Sequence[Known] = ()) -> tuple[Statement, ...]:
    """Returns what went wrong: the worst verdict first, then what hits the most architectures in the most environments.

    `known` is what is known upstream.
    """
    placed = list(_reached(list(cases)))
    environments = len({case.view.environment.anchor for case in placed})
    folded = sorted(
        _folded(_groups(placed)), key=lambda groups: (groups[0].verdict.rank, -groups[0].size, -len(groups))
    )
    return tuple(_statement(groups, environments, known) for groups in folded)


def find_not_reached(cases: Iterable[Case]) -> Mapping[CaseKey, CaseKey]:
    """Returns the cases of an environment that never started, each with the earlier case whose exception stopped it."""
    known = {case.key: case for case in cases}
    before = {key: [key._replace(check=Check(name)) for name in CHECKS[key.check].after] for key in known}
    return {
        key: earlier
        for key, case in known.items()
        for earlier in before[key]
        if case.error and earlier in known and known[earlier].error == case.error
    }


def _reached(cases: Sequence[Placed]) -> Iterator[Placed]:
    """Returns those that began."""
    environments: dict[Hashable, list[Case]] = defaultdict(list)
    for placed in cases:
        environments[placed.view.environment.anchor].append(placed.case)
    unreached = {anchor: find_not_reached(there) for anchor, there in environments.items()}
    return (placed for placed in cases if placed.case.key not in unreached[placed.view.environment.anchor])


@dataclass(frozen=True)
class _Group:
    """Cases of one environment, measured in one way, that fail alike, out of `total`; `quoted` speaks for them."""

    cases: tuple[Placed, ...]
    total: int
    quoted: Placed
    finding: Finding | None

    @property
    def verdict(self) -> Verdict:
        return self.quoted.case.verdict

    @property
    def size(self) -> int:
        return len(self.cases)

    @property
    def likeness(self) -> Hashable:
        """What groups in different environments share when they are the same failure."""
        case = self.quoted.case
        cause = _way(self.finding) if self.finding else case.error.type if case.error else ""
        return case.verdict, case.check, cause, frozenset(placed.case.architecture for placed in self.cases)

    @property
    def variant(self) -> Variant:
        """How all of its cases were measured."""
        return self.quoted.case.key.variant


def _groups(cases: Iterable[Placed]) -> Iterator[_Group]:
    totals: Counter[Hashable] = Counter()
    groups: dict[tuple[Hashable, ...], list[Placed]] = defaultdict(list)
    for placed in cases:
        case, place = placed.case, (placed.view.environment.anchor, placed.case.key.variant)
        totals[place] += case.verdict.row.measured
        if case.verdict.wrong_values:
            cause = () if case.findings or case.error is None else _cause(case.error)
            groups[(place, case.verdict, cause)].append(placed)
    for key, group in groups.items():
        yield _Group(tuple(group), totals[key[0]], *_quoted(group))


def _cause(error: Failure) -> tuple[str, str]:
    """Returns type and function, which exceptions share where a mistake was copied from one modeling file to the next."""
    return error.type, error.frame.rpartition(" in ")[2]


def _folded(groups: Iterable[_Group]) -> list[list[_Group]]:
    """Joins groups with the same failure: over the precisions of a loader, then the loaders of an environment, then environments.

    So what is joined fails with each of the loaders in each of the precisions in each of the environments.
    """
    precisions = _join([[group] for group in groups], lambda one: (_anchor(one), one[0].variant.loader))
    loaders = _join(precisions, lambda one: (_anchor(one), _trainings(one)))
    return _join(loaders, lambda one: (tuple(dict.fromkeys(group.variant.loader for group in one)), _trainings(one)))


def _join(several: Iterable[list[_Group]], key: Callable[[list[_Group]], Hashable]) -> list[list[_Group]]:
    """Joins what has the same failure and the same `key`."""
    joined: dict[Hashable, list[_Group]] = defaultdict(list)
    for groups in several:
        joined[groups[0].likeness, key(groups)].extend(groups)
    return list(joined.values())


def _anchor(groups: list[_Group]) -> str:
    return groups[0].quoted.view.environment.anchor


def _trainings(groups: list[_Group]) -> str:
    return describe_trainings(find_variants(group.quoted.case.key for group in groups))


def _quoted(group: Sequence[Placed]) -> tuple[Placed, Finding | None]:
    """Returns the case to quote for a group, with the finding that most architectures share."""
    ways = Counter(way for placed in group for way in {_way(finding) for finding in placed.case.findings})
    if not ways:
        return group[0], None
    common = min(ways, key=lambda way: (-ways[way], way))
    pairs = ((placed, finding) for placed in group for finding in placed.case.findings)
    return next((placed, finding) for placed, finding in pairs if _way(finding) == common)


def _way(finding: Finding) -> tuple[str, str, tuple[int, ...], bool, str]:
    control = describe_control(at_stage_0=finding.at_stage_0)
    return finding.site, finding.kind, finding.ranks, finding.reported_missing, control


def _statement(groups: Sequence[_Group], environments: int, known: Sequence[Known]) -> Statement:
    first, place = groups[0], groups[0].quoted.view.environment.info
    cause = first.finding or first.quoted.case.error
    views = [placed.view for group in groups for placed in group.cases if placed is not first.quoted]
    detail = _finding(first, first.finding) if first.finding else _error(first) or _report(first)
    return Statement(
        verdict=first.verdict,
        where=_where(groups, environments),
        sentence=(*_headline(groups), *detail, "."),
        cases=(first.quoted.view, *views),
        known=tuple(one for one in known if cause and one.explains(first.quoted.case, place, cause)),
    )


def _where(groups: Sequence[_Group], environments: int) -> Sentence:
    labels = list(dict.fromkeys(group.quoted.view.environment.label for group in groups))
    loaders = join_words(list(dict.fromkeys(group.quoted.case.loader for group in groups)))
    several = f"{len(labels)} of {environments} environments"
    return labels[0] if len(labels) == 1 else several, f", {loaders} loader"


def _headline(groups: Sequence[_Group]) -> Sentence:
    """Says in which precisions which architectures do what; the total is included only where it is the same everywhere."""
    first, totals = groups[0], {group.total for group in groups}
    doing = describe_verdict(first.verdict, first.quoted.case.check, first.size)
    trained_in = f"in {_trainings(list(groups))}, "
    if first.size == 1:
        return trained_in, first.quoted.view.architecture, f" {doing}"
    of = f"{first.size:,} of {first.total:,}" if len(totals) == 1 else f"{first.size:,}"
    return (f"{trained_in}{of} architectures {doing}",)


def _finding(group: _Group, finding: Finding) -> Sentence:
    ranks = describe_ranks(finding.ranks, group.quoted.view.environment.info.world_size)
    sites = {other.site for placed in group.cases for other in placed.case.findings} - {finding.site}
    are = "is" if len(sites) == 1 else "are"
    also = f". {count(len(sites), 'other site')} {are} wrong too" if sites else ""
    reported = f". {capitalize(describe_reported(reported_missing=finding.reported_missing))}{also}"
    start = ". Example: " if sites else ". "
    control = describe_control(at_stage_0=finding.at_stage_0)
    said = f"{reported}. {capitalize(control)}" if control else reported
    return (start, clip(finding.site), f" {KINDS[finding.kind]} {ranks}".rstrip(), *_values(finding), said)


def _values(finding: Finding) -> Sentence:
    if finding.expected and finding.actual:
        return " (expected ", format_values(finding.expected[:1]), ", got ", format_values(finding.actual[:1]), ")"
    return (" (", clip(finding.detail), ")") if finding.detail else ()


def _report(group: _Group) -> Sentence:
    world_size = group.quoted.view.environment.info.world_size
    found = (s for one in group.quoted.case.report for s in describe_report_difference(one, world_size))
    return ": ", *next(found, ("",))


def _error(group: _Group) -> Sentence:
    error = group.quoted.case.error
    if error is None:
        return ()
    ranks = describe_ranks(error.ranks, group.quoted.view.environment.info.world_size)
    message = clip(join_lines(f"{error.type}: {error.message}"), 240)
    frame: Sentence = (" in ", clip(error.frame)) if error.frame else ()
    return (": ", Code(message), *frame, f" {ranks}".rstrip())

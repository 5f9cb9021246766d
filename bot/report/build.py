"""PURE. Builds a report from a run: summary, heat map, evidence, and findings in words."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from bot.report.context import (
    ArchitectureView,
    CaseView,
    Column,
    CoverageView,
    EnvironmentView,
    EvidenceView,
    Family,
    HeatCell,
    Report,
    Unchecked,
)
from bot.report.evidence import Signature, build_error_view, build_evidence
from bot.report.labels import format_command, label_cells
from bot.report.statements import Placed, build_statements, summarize_cells
from bot.text import Code, Sentence, clip, count
from bot.verdict_words import describe_tensors
from matrix.advice.known import Known
from matrix.catalog.coverage import Coverage, compute_coverage
from matrix.catalog.gaps import LEFT_OUT, Place
from matrix.catalog.lock import Lock
from matrix.checks import VARIANTS, find_variants
from matrix.model import Case, Cell, Loader, Note, Precision, Run
from matrix.text import join_lines, join_words
from matrix.verdicts import Verdict

TENSORS_SHOWN = 20
"""How many wrong tensors are shown per evidence; the records have all of them."""
TENSORS_IN_REPORT = 3000
"""How many wrong tensors are shown in a whole report: at some 250 bytes each, it stays a file that opens at once."""

NOTES_SHOWN = 8
"""How many notes are shown of an environment."""

Signatures = dict[Signature, list[CaseView]]


def build_report(
    run: Run,
    families: Mapping[str, str] = MappingProxyType({}),
    lock: Lock | None = None,
    known: Sequence[Known] = (),
) -> Report:
    """Builds the report of a run. `families` maps architecture ids to family names, in the order of the catalog.

    `lock` says which architectures each version of transformers has, from which the report computes coverage; `known`
    is what is known upstream.
    """
    names = label_cells(run.cells)
    environments = [
        build_environment_view(f"e{index}", cell, names[index], lock) for index, cell in enumerate(run.cells)
    ]
    architectures = sorted({case.architecture for cell in run.cells for case in cell.cases}, key=str.casefold)
    anchors = {architecture: f"a{number}" for number, architecture in enumerate(architectures)}
    placed = [
        _placed(cell, case, view, anchors)
        for cell, view in zip(run.cells, environments, strict=True)
        for case in cell.cases
    ]
    occurring = Counter(case.case.verdict for case in placed)
    checks = tuple(dict.fromkeys(variant.what for variant in find_variants(case.case.key for case in placed)))
    columns = tuple(_columns(run.cells, environments))
    rows = _rows(placed, anchors, columns, checks)
    return Report(
        answer=summarize_cells(run.cells),
        environments=tuple(environments),
        verdicts=tuple(verdict for verdict in Verdict if occurring[verdict]),
        checks=checks,
        columns=columns,
        families=tuple(_families(rows, families)),
        findings=build_statements(placed, known),
    )


def _coverage(cell: Cell, lock: Lock | None) -> CoverageView | None:
    found = compute_coverage(cell, lock) if lock else None
    if found is None:
        return None
    counts = (found.sites, found.float32, found.popular, found.cases)
    unreached = tuple(map(clip, found.unreached))
    return CoverageView(found.checked, found.discovered, tuple(_unchecked(found)), unreached, *counts)


def _unchecked(found: Coverage) -> Iterator[Unchecked]:
    """Yields what was not checked, by reason and place. What was left out comes last."""
    alike: dict[tuple[str, tuple[Place, ...]], list[Code]] = defaultdict(list)
    for name, reason in found.unchecked.items():
        alike[reason, ()].append(clip(name))
    for name, gaps in found.partly.items():
        for reason in dict.fromkeys(gaps.values()):
            alike[reason, tuple(place for place, why in gaps.items() if why == reason)].append(clip(name))
    for reason, places in sorted(alike, key=lambda group: (group[0] == LEFT_OUT, *group)):
        yield Unchecked(clip(join_lines(reason)), tuple(alike[reason, places]), _describe_places(places))
    if found.left_out:
        yield Unchecked(clip(LEFT_OUT), (), _describe_places(found.left_out))


def _describe_places(places: Iterable[Place]) -> str:
    """Returns `load and save in bf16`; empty for no places."""
    checks: dict[str, list[str]] = defaultdict(list)
    for check, precision in places:
        checks[precision].append(check)
    return join_words([f"{join_words(found)} in {precision}" for precision, found in checks.items()]) if checks else ""


def build_environment_view(anchor: str, cell: Cell, label: Code, lock: Lock | None = None) -> EnvironmentView:
    """Builds the view of an environment, with its `anchor` and `label`; its coverage comes from `lock`."""
    measured = len(cell.cases)
    return EnvironmentView(
        anchor=anchor,
        label=label,
        info=cell.environment,
        started=cell.started,
        timing=cell.timing,
        planned=cell.planned,
        measured=measured,
        untested=max(0, cell.planned - measured),
        complete=cell.complete,
        error=build_error_view(cell.error, cell.environment.world_size),
        coverage=_coverage(cell, lock),
        shared=tuple(sorted({case.precision for case in cell.cases if case.measured_with}, key=[*Precision].index)),
        spared=_count_spared(cell.cases),
        notes=tuple(_notes(cell.cases)),
    )


def _count_spared(cases: Sequence[Case]) -> int:
    """Returns how many cases of the stock loader have none of the fixed one, since there is nothing that it could mend."""
    fixed = {case.key for case in cases if case.loader is Loader.FIXED}
    needless = [case for case in cases if not case.may_be_mended]
    return sum(case.key._replace(loader=Loader.FIXED) not in fixed for case in needless) if fixed else 0


def _notes(cases: Iterable[Case]) -> Iterator[Sentence]:
    """Yields the notes of all cases, the most frequent first. Texts that differ in numbers alone count as one."""
    found: dict[str, list[tuple[str, Note]]] = defaultdict(list)
    for case in cases:
        for note in case.notes:
            found[re.sub(r"\d+", "", note.text)].append((case.architecture, note))
    for places in sorted(found.values(), key=lambda places: -len(places))[:NOTES_SHOWN]:
        architecture, note = places[0]
        others = len({name for name, _ in places}) - 1
        alike = f"; alike in {count(others, 'more architecture')}" if others else ""
        yield clip(note.about), " ", clip(join_lines(note.text)), " in ", clip(architecture), alike
    if len(found) > NOTES_SHOWN:
        yield (f"and {count(len(found) - NOTES_SHOWN, 'more note')}, in the records",)


def _placed(cell: Cell, case: Case, environment: EnvironmentView, anchors: Mapping[str, str]) -> Placed:
    view = CaseView(
        anchor=f"{anchors[case.architecture]}-{environment.anchor}-{case.key.variant.slug}",
        environment=environment,
        architecture=clip(case.architecture),
        variant=case.key.variant,
        verdict=case.verdict,
        compared=describe_tensors(case.tensors),
        wrong=len({finding.tensor for finding in case.findings}),
        confirmed=case.confirmed,
        seconds=case.seconds,
        command=format_command(cell.environment, case),
    )
    return Placed(case, view)


def _columns(cells: Sequence[Cell], environments: Sequence[EnvironmentView]) -> Iterator[Column]:
    """Yields a column per environment and loader, empty where a cell failed or was cut short before that loader."""
    everywhere = {case.loader for cell in cells for case in cell.cases}
    for cell, view in zip(cells, environments, strict=True):
        trainings: dict[Loader, dict[str, Counter[Verdict]]] = {loader: {} for loader in Loader}
        for case in sorted(cell.cases, key=lambda case: VARIANTS.index(case.key.variant)):
            counted = trainings[case.loader].setdefault(case.key.variant.trained_in, Counter())
            counted[case.verdict] += 1
        reached = {loader for loader in Loader if trainings[loader]}
        shown = reached if cell.complete and reached else everywhere
        yield from (Column(view, loader, trainings[loader]) for loader in Loader if loader in shown)


def _rows(
    placed: Sequence[Placed], anchors: Mapping[str, str], columns: Sequence[Column], checks: Sequence[str]
) -> dict[str, ArchitectureView]:
    by_architecture: dict[str, list[Placed]] = defaultdict(list)
    for case in placed:
        by_architecture[case.case.architecture].append(case)
    signatures = {architecture: _signatures(cases) for architecture, cases in by_architecture.items()}
    wrong = sum(bool(signature.findings) for group in signatures.values() for signature in group)
    limit = max(1, min(TENSORS_SHOWN, TENSORS_IN_REPORT // max(1, wrong)))
    return {
        architecture: ArchitectureView(
            anchor=anchor,
            id=clip(architecture),
            counts=Counter(case.case.verdict for case in by_architecture[architecture]),
            cells=_heat_cells(by_architecture[architecture], columns, checks),
            evidence=_evidence(signatures[architecture], limit),
        )
        for architecture, anchor in anchors.items()
    }


def _signatures(cases: Sequence[Placed]) -> Signatures:
    """Groups the cases of one architecture by what they found, the worst verdict first."""
    alike: Signatures = defaultdict(list)
    for placed in sorted(cases, key=lambda placed: placed.case.verdict.rank):
        case, info = placed.case, placed.view.environment.info
        alike[Signature.of(case, info.world_size)].append(placed.view)
    return alike


def _evidence(signatures: Signatures, limit: int) -> tuple[EvidenceView, ...]:
    return tuple(build_evidence(signature, cases, limit) for signature, cases in signatures.items())


def _heat_cells(cases: Sequence[Placed], columns: Sequence[Column], checks: Sequence[str]) -> tuple[HeatCell, ...]:
    found = {(case.view.environment.anchor, case.case.loader, case.case.key.variant.what): case.view for case in cases}
    return tuple(
        _heat_cell(column, [found.get((column.environment.anchor, column.loader, check)) for check in checks])
        for column in columns
    )


def _heat_cell(column: Column, cases: Sequence[CaseView | None]) -> HeatCell:
    verdicts = [case.verdict for case in cases if case]
    if not verdicts and column.environment.error:
        verdicts = [Verdict.ENVIRONMENT]
    return HeatCell(column, min(verdicts, key=lambda verdict: verdict.rank, default=None), tuple(cases))


def _families(rows: Mapping[str, ArchitectureView], families: Mapping[str, str]) -> Iterator[Family]:
    """Yields the rows by family, in the order of the catalog; unknown architectures come last."""
    order = {name: number for number, name in enumerate(dict.fromkeys(families.values()))}
    grouped: dict[str, list[ArchitectureView]] = defaultdict(list)
    for architecture, row in rows.items():
        grouped[families.get(architecture, "")].append(row)
    for name in sorted(grouped, key=lambda name: order.get(name, len(order))):
        yield Family(clip(name), tuple(grouped[name]))

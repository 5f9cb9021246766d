"""PURE. Builds evidence: findings grouped by buffer site, and cases of one architecture with the same findings together."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.report.context import CaseView, ErrorView, EvidenceView, SiteView, TensorView
from bot.text import MESSAGE_LIMIT, Sentence, clip, describe_ranks, format_values
from bot.verdict_words import describe_control, describe_reported, describe_tensors
from matrix.model import Case, Failure, Finding, Kind, ReportDifference, Tensors
from matrix.text import KINDS, describe_difference
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class Signature:
    """Everything that two cases must share to be shown together."""

    verdict: Verdict
    tensors: Tensors
    findings: tuple[Finding, ...]
    error: Failure | None
    report: tuple[ReportDifference, ...]
    world_size: int

    @classmethod
    def of(cls, case: Case, world_size: int) -> "Signature":
        """Returns what `case`, of so many ranks, found."""
        return cls(case.verdict, case.tensors, case.findings, case.error, case.report, world_size)


def build_evidence(signature: Signature, cases: Iterable[CaseView], limit: int) -> EvidenceView:
    """Builds the evidence of `cases`, which share `signature`, with at most `limit` sites and about as many tensors."""
    groups = group_by_site(signature.findings)
    each = max(1, limit // max(1, len(groups)))
    views = tuple(_site(findings, signature.world_size, each) for findings in groups[:limit])
    return EvidenceView(
        verdict=signature.verdict,
        compared=describe_tensors(signature.tensors),
        total=len({finding.tensor for finding in signature.findings}),
        sites=views,
        more_sites=len(groups) - len(views),
        error=build_error_view(signature.error, signature.world_size),
        cases=tuple(cases),
        differences=tuple(s for one in signature.report for s in describe_report_difference(one, signature.world_size)),
    )


def describe_report_difference(found: ReportDifference, world_size: int) -> Iterator[Sentence]:
    """Yields what a part of the loading report has too much, and what it leaves out."""
    ranks = describe_ranks(found.ranks, world_size)
    return ((f"{found.part} {ranks} {words}: ", clip(names)) for words, names in describe_difference(found))


def group_by_site(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Groups findings that differ only in tensor and values; the worst kind first, then the most tensors."""
    groups: dict[tuple[object, ...], list[Finding]] = defaultdict(list)
    for finding in findings:
        key = finding.site, finding.what, finding.kind, finding.ranks, finding.reported_missing, finding.at_stage_0
        groups[key].append(finding)
    order = list(Kind)
    return sorted(groups.values(), key=lambda group: (order.index(group[0].kind), -len(group), group[0].site))


def build_error_view(error: Failure | None, world_size: int) -> ErrorView | None:
    """Builds the view of an exception; None for none."""
    if error is None:
        return None
    ranks = describe_ranks(error.ranks, world_size)
    return ErrorView(clip(error.type), clip(error.message.strip(), MESSAGE_LIMIT), clip(error.frame, 400), ranks)


def _site(findings: list[Finding], world_size: int, limit: int) -> SiteView:
    first = findings[0]
    return SiteView(
        site=clip(first.site),
        what=first.what,
        kind=first.kind,
        holds=KINDS[first.kind],
        ranks=describe_ranks(first.ranks, world_size),
        reported="; ".join(
            filter(
                None,
                [
                    describe_reported(reported_missing=first.reported_missing),
                    describe_control(at_stage_0=first.at_stage_0),
                ],
            )
        ),
        total=len(findings),
        tensors=tuple(build_tensor_view(finding) for finding in findings[:limit]),
        more=max(0, len(findings) - limit),
    )


def build_tensor_view(finding: Finding) -> TensorView:
    """Builds the view of a wrong tensor with its first wrong values."""
    wrong, total = finding.elements
    return TensorView(
        tensor=clip(finding.tensor),
        expected=format_values(finding.expected, more=wrong > len(finding.expected)),
        actual=format_values(finding.actual, more=wrong > len(finding.actual)),
        elements=f"{wrong:,} of {total:,}" if total else "",
        detail=clip(finding.detail),
    )

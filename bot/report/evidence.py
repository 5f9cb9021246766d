"""PURE. Builds evidence: findings grouped by buffer site, and cases of one architecture with the same findings together."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from bot.report.context import CaseView, ErrorView, EvidenceView, SiteView, TensorView
from bot.text import MESSAGE_LIMIT, clip, describe_ranks, format_values
from bot.verdict_words import describe_reported, describe_tensors
from matrix.model import Failure, Finding, Kind, Tensors
from matrix.text import KINDS
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class Signature:
    """Everything that two cases must share to be shown together."""

    verdict: Verdict
    tensors: Tensors
    findings: tuple[Finding, ...]
    error: Failure | None
    world_size: int


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
    )


def group_by_site(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Groups findings that differ only in tensor and values; the worst kind first, then the most tensors."""
    groups: dict[tuple[object, ...], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[(finding.site, finding.what, finding.kind, finding.ranks, finding.reported_missing)].append(finding)
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
        reported=describe_reported(reported_missing=first.reported_missing),
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

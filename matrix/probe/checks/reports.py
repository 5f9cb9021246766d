"""Compares what the loader says under ZeRO-3 with what it says of a plain load.

PURE: no input or output.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from matrix.check_protocol import LoadingReport
from matrix.model import MOST_DIFFERENCES, SHOWN_NAMES, ReportDifference, ReportPart


def compare_reports(
    plain: LoadingReport | None, ranks: Sequence[LoadingReport | None], wrong: AbstractSet[str]
) -> tuple[ReportDifference, ...]:
    """Returns where the reports of the ranks differ from that of a plain load; nothing where one of them is not known.

    `wrong` are the tensors with wrong values: a load under ZeRO-3 may well name them as missing.
    """
    told = [report for report in ranks if report is not None]
    if plain is None or len(told) < len(ranks):
        return ()
    # Upstream's ZeRO-3 loaders read values, and so see what does not fit, on rank 0 only.
    errors = tuple(sorted({message for report in told for message in report.error_msgs}))
    complete = [replace(report, error_msgs=errors) for report in told]
    return tuple(_differences(plain, complete, wrong))[:MOST_DIFFERENCES]


def _differences(
    plain: LoadingReport, ranks: Sequence[LoadingReport], wrong: AbstractSet[str]
) -> Iterator[ReportDifference]:
    for part in ReportPart:
        alike: dict[tuple[frozenset[str], frozenset[str]], list[int]] = {}
        for rank, report in enumerate(ranks):
            told, right = set(getattr(report, part)), set(getattr(plain, part))
            added = told - right - (wrong if part is ReportPart.MISSING else set())
            alike.setdefault((frozenset(added), frozenset(right - told)), []).append(rank)
        for (added_names, left_out), holders in alike.items():
            if added_names or left_out:
                yield _difference(part, sorted(added_names), sorted(left_out), holders)


def _difference(
    part: ReportPart, added: Sequence[str], left_out: Sequence[str], ranks: Sequence[int]
) -> ReportDifference:
    shown = tuple(added[:SHOWN_NAMES]), tuple(left_out[:SHOWN_NAMES])
    return ReportDifference(part, *shown, (len(added), len(left_out)), tuple(ranks))


def find_reported(plain: LoadingReport | None, ranks: Sequence[LoadingReport | None]) -> AbstractSet[str]:
    """Returns the tensors that every rank names as missing, beyond what the plain load names.

    A user may look at any one rank, and does not learn of ZeRO-3 from what every load says.
    """
    named = [set(report.missing_keys) if report else set() for report in ranks]
    return set.intersection(*named) - set(plain.missing_keys if plain else ())

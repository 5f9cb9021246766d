"""Checks the frame of a record, which is all but its cases: when, where and with which packages it was measured.

PURE: no input or output.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from bot.text import NAME_LIMIT
from bot.untrusted.consistency import ranks_exist
from matrix.environments.packages import PACKAGES, RECORDED
from matrix.model import Cell, EnvironmentInfo, ReportLimit, ReportPart, Timing

MOST_PACKAGES: Final = 500
"""Real environments have up to about 150."""

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_PACKAGE: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)
_VERSION: Final = re.compile(r"[\w.+!-]{0,128}", re.ASCII)
_SPECIFIER: Final = re.compile(r"[\w.+!<>=~,-]{0,64}", re.ASCII)
"""Of a python that was never found, its specifier."""
_REPORT_LIMITS: Final = {
    (ReportPart.UNEXPECTED, ReportLimit.ALWAYS_EMPTY),
    (ReportPart.MISMATCHED, ReportLimit.ALWAYS_EMPTY),
    (ReportPart.MISMATCHED, ReportLimit.OF_PLACEHOLDERS),
    (ReportPart.ERRORS, ReportLimit.ON_RANK_0_ONLY),
}
"""All that `find_report_limits` of the probe finds in a release. A limit that is believed is a part that is not compared."""


def find_odd_frame(cell: Cell, pins: Mapping[str, str]) -> str:
    """Returns what this project would not write in the frame of a cell, in words; empty when all is right.

    An attempt that failed has the `pins` of its plan instead of versions.
    """
    return next((words for wrong, words in _claims(cell, pins) if wrong), "")


def parse_moment(text: str) -> datetime | None:
    """Parses a moment as records have it, such as 2026-11-22T01:37:00Z; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if f"{moment:%Y-%m-%dT%H:%M:%SZ}" == text else None


def _claims(cell: Cell, pins: Mapping[str, str]) -> Iterator[tuple[bool, str]]:
    """Yields for each odd thing whether it is there, and its words."""
    info = cell.environment
    digests = all(map(_DIGEST.fullmatch, (cell.catalog, cell.probe)))
    shown = info.hardware.isprintable() and len(info.hardware) <= NAME_LIMIT
    yield (
        not (digests and parse_moment(cell.started) and shown),
        "does not say with which code, when and on which hardware it was measured",
    )
    named = len(info.packages) <= MOST_PACKAGES and all(map(_PACKAGE.fullmatch, info.packages))
    yield not named, "lists packages that no environment has"
    strange = next(_find_strange_versions(info, pins), "")
    yield bool(strange), f"does not name a version of {strange}"
    yield (
        not info.report_limits.items() <= _REPORT_LIMITS,
        "leaves out a part of the loading report that every release tells",
    )
    nothing = not cell.error or (not cell.cases and ranks_exist(cell.error, info.world_size))
    yield not nothing, "says that nothing could be measured, but has results"
    yield not _is_possible(cell.timing), "has a negative count or time"


def _find_strange_versions(info: EnvironmentInfo, pins: Mapping[str, str]) -> Iterator[str]:
    """Yields each package whose version is neither a version nor its pin."""
    if not _SPECIFIER.fullmatch(info.python):
        yield "python"
    recorded = [(name, vars(info)[name]) for name in RECORDED]
    for name, version in (*recorded, *info.packages.items()):
        pin = pins.get(name)
        pinned = pin is not None and version in (pin, PACKAGES[name].located(pin))
        if not (_VERSION.fullmatch(version) or pinned):
            yield name


def _is_possible(timing: Timing) -> bool:
    """Tests whether no time and no memory is negative."""
    return min(timing.seconds, timing.import_seconds, timing.load_seconds, timing.rss_mb) >= 0

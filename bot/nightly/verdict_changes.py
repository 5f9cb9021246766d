"""Finds what got worse in the history and still is, and what passes again, from each case's verdicts over time.

PURE: no input or output.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Final

from pydantic import ConfigDict

from matrix.history.changes import VerdictHistory, Verdicts
from matrix.model import CaseKey, Check, Configuration, Loader, Precision
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class CaseChange:
    """A case of a cell whose verdict changed from `before` to `after`, with the nightly run of `since`."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    cell: str
    architecture: str
    loader: Loader
    check: Check
    before: Verdict
    after: Verdict
    since: date
    precision: Precision = Precision.FLOAT32
    configuration: Configuration = Configuration.PLAIN

    @property
    def key(self) -> CaseKey:
        """The case in its cell."""
        return CaseKey(self.architecture, self.loader, self.check, self.precision, self.configuration)

    @property
    def subject(self) -> tuple[str, str]:
        """The cell, and the case in it."""
        return self.cell, str(self.key)


@dataclass(frozen=True)
class CaseChanges:
    """Cases that are `wrong` now and were not before, and those that are `right` again, the newest first.

    Those that are `gone` were wrong and are not measured any more, so they cannot get right again.
    """

    wrong: tuple[CaseChange, ...] = ()
    right: tuple[CaseChange, ...] = ()
    gone: tuple[CaseChange, ...] = ()


_UNSURE: Final = frozenset({Verdict.FLAKY})


def is_worse(before: Verdict, after: Verdict) -> bool:
    """Returns whether a case got worse: wrong now and right before, or wrong in a worse way, such as silently."""
    return after.wrong_values and after.rank < before.rank


def find_verdict_changes(histories: Mapping[tuple[str, CaseKey], VerdictHistory], recent: date) -> CaseChanges:
    """Returns what turned wrong at any time and still is, and what turned right again or is gone since `recent`."""
    changes = ((_last_change(cell, key, one.verdicts), one.ended) for (cell, key), one in histories.items())
    found = [(*change, ended) for change, ended in changes if change]
    wrong = [change for change, is_wrong, ended in found if is_wrong and not ended]
    right = [change for change, is_wrong, _ in found if not is_wrong and change.since >= recent]
    gone = [change for change, is_wrong, ended in found if is_wrong and ended and ended >= recent]
    return CaseChanges(*map(_newest_first, (wrong, right, gone)))


def _newest_first(found: Iterable[CaseChange]) -> tuple[CaseChange, ...]:
    return tuple(sorted(found, key=lambda change: (-change.since.toordinal(), change.subject)))


def _last_change(cell: str, key: CaseKey, verdicts: Verdicts) -> tuple[CaseChange, bool] | None:
    """Returns the last change of a case and whether it was for the worse. Only a pass undoes that."""
    measured = [(night, verdict) for night, verdict in verdicts if not verdict.infrastructure]
    if not measured:
        return None
    right, wrong_since, last = measured[0][1], None, None
    for night, verdict in measured[1:]:
        if is_worse(right, verdict):
            wrong_since = wrong_since or night
            last = CaseChange(cell, key.architecture, key.loader, key.check, right, verdict, wrong_since, *key[3:])
        elif wrong_since and verdict is not Verdict.PASS:
            if (
                verdict.wrong_values and verdict not in _UNSURE
            ):  # as wrong as before, or less: nothing to report any more
                right, wrong_since, last = verdict, None, None
        elif not (verdict in _UNSURE and right.wrong_values):
            if last and wrong_since:
                last = CaseChange(cell, key.architecture, key.loader, key.check, last.after, verdict, night, *key[3:])
            right, wrong_since = verdict, None
    return (last, wrong_since is not None) if last else None

"""PURE. What got worse in the history and still is, and what got right again, told from each case's course of verdicts.

PURE: no input or output.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Final

from pydantic import ConfigDict

from matrix.history.changes import VerdictHistory, Verdicts
from matrix.model import CaseKey, Check, Loader
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class VerdictChange:
    """A case of a cell that had one verdict and has another since a night."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    cell: str
    architecture: str
    loader: Loader
    check: Check
    before: Verdict
    after: Verdict
    since: date

    @property
    def subject(self) -> tuple[str, str]:
        """What turned: the cell and the case in it."""
        return self.cell, f"{self.architecture} {self.loader} {self.check}"


@dataclass(frozen=True)
class VerdictChanges:
    """What is `wrong` and was not before, and what is `right` again, each with the newest first.

    What is `gone` was wrong, and is not measured any more: nobody will see it right again.
    """

    wrong: tuple[VerdictChange, ...] = ()
    right: tuple[VerdictChange, ...] = ()
    gone: tuple[VerdictChange, ...] = ()


_UNSURE: Final = frozenset({Verdict.FLAKY})


def is_worse(before: Verdict, after: Verdict) -> bool:
    """Whether a case got worse: wrong now and right before, or wrong in a worse way, such as silently."""
    return after.wrong_values and after.rank < before.rank


def find_verdict_changes(courses: Mapping[tuple[str, CaseKey], VerdictHistory], recent: date) -> VerdictChanges:
    """What turned wrong and is not right again, at any time, and what turned right again or is gone since the night `recent`."""
    told = ((_turn(cell, key, course.verdicts), course.ended) for (cell, key), course in courses.items())
    found = [(*turn, ended) for turn, ended in told if turn]
    wrong = [turn for turn, is_wrong, ended in found if is_wrong and not ended]
    right = [turn for turn, is_wrong, _ in found if not is_wrong and turn.since >= recent]
    gone = [turn for turn, is_wrong, ended in found if is_wrong and ended and ended >= recent]
    return VerdictChanges(*map(_newest_first, (wrong, right, gone)))


def _newest_first(found: Iterable[VerdictChange]) -> tuple[VerdictChange, ...]:
    return tuple(sorted(found, key=lambda turn: (-turn.since.toordinal(), turn.subject)))


def _turn(cell: str, key: CaseKey, verdicts: Verdicts) -> tuple[VerdictChange, bool] | None:
    """The last turn of a case and whether it is to the wrong. Only a pass turns it back."""
    told = [(night, verdict) for night, verdict in verdicts if not verdict.infrastructure]
    if not told:
        return None
    right, wrong_since, last = told[0][1], None, None
    for night, verdict in told[1:]:
        if is_worse(right, verdict):
            wrong_since = wrong_since or night
            last = VerdictChange(cell, key.architecture, key.loader, key.check, right, verdict, wrong_since)
        elif wrong_since and verdict is not Verdict.PASS:
            if verdict.wrong_values and verdict not in _UNSURE:  # as wrong as before, or less: nothing to tell any more
                right, wrong_since, last = verdict, None, None
        elif not (verdict in _UNSURE and right.wrong_values):
            if last and wrong_since:
                last = VerdictChange(cell, key.architecture, key.loader, key.check, last.after, verdict, night)
            right, wrong_since = verdict, None
    return (last, wrong_since is not None) if last else None

"""PURE. What got worse in the history and still is, and what got right again, told from each case's course of verdicts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Final

from pydantic import ConfigDict

from matrix.history_nights import Course
from matrix.model import CaseKey, Check, Loader, Verdict


@dataclass(frozen=True)
class Turn:
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
class Turns:
    """What is `wrong` and was not before, and what is `right` again, each with the newest first."""

    wrong: tuple[Turn, ...]
    right: tuple[Turn, ...]


_UNSURE: Final = frozenset({Verdict.FLAKY})


def worse(before: Verdict, after: Verdict) -> bool:
    """Whether a case got worse: wrong now and right before, or wrong in a worse way, such as silently."""
    return after.wrong_values and after.rank < before.rank


def turns(courses: Mapping[tuple[str, CaseKey], Course], recent: date) -> Turns:
    """What turned wrong and is not right again, at any time, and what turned right again since the night `recent`."""
    found = [_turn(cell, key, course) for (cell, key), course in courses.items()]
    wrong = [turn for turn, is_wrong in filter(None, found) if is_wrong]
    right = [turn for turn, is_wrong in filter(None, found) if not is_wrong and turn.since >= recent]
    return Turns(_newest_first(wrong), _newest_first(right))


def _newest_first(found: Iterable[Turn]) -> tuple[Turn, ...]:
    return tuple(sorted(found, key=lambda turn: (-turn.since.toordinal(), turn.subject)))


def _turn(cell: str, key: CaseKey, course: Course) -> tuple[Turn, bool] | None:
    """The last turn of a case and whether it is to the wrong. Only a pass turns it back."""
    told = [(night, verdict) for night, verdict in course if not verdict.infrastructure]
    if not told:
        return None
    right, wrong_since, last = told[0][1], None, None
    for night, verdict in told[1:]:
        if worse(right, verdict):
            wrong_since = wrong_since or night
            last = Turn(cell, key.architecture, key.loader, key.check, right, verdict, wrong_since)
        elif wrong_since and verdict is not Verdict.PASS:
            if verdict.wrong_values and verdict not in _UNSURE:  # as wrong as before, or less: nothing to tell any more
                right, wrong_since, last = verdict, None, None
        elif not (verdict in _UNSURE and right.wrong_values):
            if last and wrong_since:
                last = Turn(cell, key.architecture, key.loader, key.check, last.after, verdict, night)
            right, wrong_since = verdict, None
    return (last, wrong_since is not None) if last else None

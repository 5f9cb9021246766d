"""Decides whether an exception or a wrong tensor looks like a known failure.

PURE: no input or output.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated, ClassVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, ConfigDict

from matrix.model import Case, Check, Device, EnvironmentInfo, Failure, Finding, Kind, Loader, Precision, What
from matrix.verdicts import Verdict


class Ranks(StrEnum):
    """Which ranks hold a wrong tensor."""

    ALL = "all"
    ABOVE_ZERO = "above_zero"
    ZERO = "zero"
    SOME = "some"

    @classmethod
    def of(cls, ranks: Iterable[int], world_size: int) -> "Ranks":
        """Returns the pattern of the wrong `ranks` among `world_size`."""
        wrong = set(ranks)
        patterns = {cls.ALL: range(world_size), cls.ABOVE_ZERO: range(1, world_size), cls.ZERO: range(1)}
        return next((pattern for pattern, which in patterns.items() if _are_all(wrong, which)), cls.SOME)


def _are_all(ranks: Collection[int], which: range) -> bool:
    """Returns whether `ranks`, each there once, are all of `which`, which a stranger's record may make as long as it likes."""
    return len(ranks) == which.stop - which.start and all(rank in which for rank in ranks)


def _specifier(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ValueError(str(error)) from error
    return text


Specifier = Annotated[str, AfterValidator(_specifier)]


@dataclass(frozen=True)
class Match:
    """Describes one way to look like a failure; an empty field matches anything, but empty `kinds` no rounded value.

    `exception`, `message` and `frame` ask for an exception, `what`, `kinds`, `sites`, `tensors`, `ranks`, `reported` and
    `at_stage_0` for a wrong tensor. `message` and `frame` are searched for; `sites`, `tensors` and `architectures` are
    globs.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    exception: str = ""
    message: re.Pattern[str] | None = None
    frame: re.Pattern[str] | None = None
    what: What | None = None
    kinds: tuple[Kind, ...] = ()
    sites: tuple[str, ...] = ()
    tensors: tuple[str, ...] = ()
    ranks: Ranks | None = None
    reported: bool | None = None
    at_stage_0: bool | None = None
    verdicts: tuple[Verdict, ...] = ()
    architectures: tuple[str, ...] = ()
    loader: Loader | None = None
    check: Check | None = None
    precisions: tuple[Precision, ...] = ()
    device: Device | None = None
    transformers: Specifier = ""
    deepspeed: Specifier = ""

    @property
    def of_an_exception(self) -> bool:
        """Whether it asks for an exception."""
        return bool(self.exception or self.message or self.frame)

    @property
    def of_a_tensor(self) -> bool:
        """Whether it asks for a wrong tensor."""
        stated = self.reported is not None or self.at_stage_0 is not None
        return bool(self.what or self.kinds or self.sites or self.tensors or self.ranks or stated)

    def explains(self, case: Case, environment: EnvironmentInfo, cause: Failure | Finding) -> bool:
        """Returns whether `cause`, which `case` has in `environment`, looks like this."""
        if isinstance(cause, Failure):
            return self._error(cause) and self._place(case, environment)
        return self._finding(cause, environment.world_size) and self._place(case, environment)

    def _place(self, case: Case, environment: EnvironmentInfo) -> bool:
        return (
            (not self.verdicts or case.verdict in self.verdicts)
            and _globbed(case.architecture, self.architectures)
            and self.loader in (None, case.loader)
            and self.check in (None, case.check)
            and (not self.precisions or case.precision in self.precisions)
            and self.device in (None, environment.device)
            and _within(environment.transformers, self.transformers)
            and _within(environment.deepspeed, self.deepspeed)
        )

    def _error(self, error: Failure) -> bool:
        return (
            self.of_an_exception
            and self.exception in ("", error.type)
            and (self.message is None or self.message.search(error.message) is not None)
            and (self.frame is None or self.frame.search(error.frame) is not None)
        )

    def _finding(self, finding: Finding, world_size: int) -> bool:
        return (
            self.of_a_tensor
            and self.what in (None, finding.what)
            and (finding.kind in self.kinds if self.kinds else finding.kind is not Kind.ROUNDED)
            and _globbed(finding.site, self.sites)
            and _globbed(finding.tensor, self.tensors)
            and self.ranks in (None, Ranks.of(finding.ranks, world_size))
            and self.reported in (None, finding.reported_missing)
            and self.at_stage_0 in (None, finding.at_stage_0)
        )


def _globbed(name: str, globs: tuple[str, ...]) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs)


@lru_cache  # few versions, few specifiers, many wrong tensors
def _within(version: str, specifier: str) -> bool:
    """Returns whether a version is in a range: a development version counts as what it will be, other text is in none."""
    if not specifier:
        return True
    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False

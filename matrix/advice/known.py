"""Upstream failures that are known: which wrong tensors and exceptions are theirs, and where they are discussed."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import tomllib
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from matrix.errors import DataFileError
from matrix.model import Case, Check, Device, EnvironmentInfo, Failure, Finding, Kind, Loader, What
from matrix.verdicts import Verdict

PATH: Final = Path(__file__).parents[1] / "known.toml"
_ID: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class State(StrEnum):
    """What became of a failure upstream, as far as is known."""

    OPEN = "open"
    FIXED = "fixed"
    UNKNOWN = "unknown"


class Ranks(StrEnum):
    """Which ranks hold a wrong tensor."""

    ALL = "all"
    ABOVE_ZERO = "above_zero"
    ZERO = "zero"
    SOME = "some"

    @classmethod
    def of(cls, ranks: Iterable[int], world_size: int) -> "Ranks":
        """The pattern of the wrong `ranks` among `world_size`."""
        wrong = set(ranks)
        patterns = {cls.ALL: range(world_size), cls.ABOVE_ZERO: range(1, world_size), cls.ZERO: range(1)}
        return next((pattern for pattern, which in patterns.items() if wrong == set(which)), cls.SOME)


def _specifier(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ValueError(str(error)) from error
    return text


Specifier = Annotated[str, AfterValidator(_specifier)]
Link = Annotated[str, Field(pattern=r"^https://github\.com/[\w.-]+/[\w.-]+/(issues|pull|commit)/[0-9a-f]+$")]
Words = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class Match:
    """One way to look like a failure; what is left empty may be anything.

    `exception`, `message` and `frame` ask for an exception, `what`, `kinds`, `sites`, `ranks` and `reported` for a wrong
    tensor. `message` and `frame` are searched for; `sites` and `architectures` are globs.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    exception: str = ""
    message: re.Pattern[str] | None = None
    frame: re.Pattern[str] | None = None
    what: What | None = None
    kinds: tuple[Kind, ...] = ()
    sites: tuple[str, ...] = ()
    ranks: Ranks | None = None
    reported: bool | None = None
    verdicts: tuple[Verdict, ...] = ()
    architectures: tuple[str, ...] = ()
    loader: Loader | None = None
    check: Check | None = None
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
        return bool(self.what or self.kinds or self.sites or self.ranks or self.reported is not None)

    def explains(self, case: Case, environment: EnvironmentInfo, cause: Failure | Finding) -> bool:
        """Whether `cause`, which `case` has in `environment`, looks like this."""
        if isinstance(cause, Failure):
            return self._error(cause) and self._place(case, environment)
        return self._finding(cause, environment.world_size) and self._place(case, environment)

    def _place(self, case: Case, environment: EnvironmentInfo) -> bool:
        return (
            (not self.verdicts or case.verdict in self.verdicts)
            and _globbed(case.architecture, self.architectures)
            and self.loader in (None, case.loader)
            and self.check in (None, case.check)
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
            and (not self.kinds or finding.kind in self.kinds)
            and _globbed(finding.site, self.sites)
            and self.ranks in (None, Ranks.of(finding.ranks, world_size))
            and self.reported in (None, finding.reported_missing)
        )


@dataclass(frozen=True)
class Known:
    """A failure that is known upstream: `issues` are addresses, `fixed_in` names a package and the first version without it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: str
    title: Words
    issues: tuple[Link, ...]
    state: State
    match: tuple[Match, ...]
    fixed_in: str = ""

    def explains(self, case: Case, environment: EnvironmentInfo, cause: Failure | Finding) -> bool:
        """Whether it is why `case` has `cause`, an exception or a wrong tensor, in `environment`."""
        return any(match.explains(case, environment, cause) for match in self.match)


def _globbed(name: str, globs: tuple[str, ...]) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs)


@lru_cache  # few versions, few specifiers, many wrong tensors
def _within(version: str, specifier: str) -> bool:
    """A development version counts as what it will be; what is no version is in no range."""
    if not specifier:
        return True
    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


_ENTRY: Final = TypeAdapter(Known)


def load_known(path: Path = PATH) -> tuple[Known, ...]:
    """The known failures of the file at `path`, in its order; raises DataFileError with all of its mistakes."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataFileError(path, [str(error)]) from error
    if problems := [f"[{name}] {problem}" for name, entry in entries.items() for problem in _problems(name, entry)]:
        raise DataFileError(path, problems)
    return tuple(_ENTRY.validate_python(entry | {"id": name}) for name, entry in entries.items())


def _problems(name: str, entry: Any) -> list[str]:
    if not isinstance(entry, Mapping):
        return ["is no table"]
    problems = [] if _ID.fullmatch(name) else ["a name is lowercase words with hyphens"]
    try:
        known = _ENTRY.validate_python({**entry, "id": name})
    except ValidationError as error:
        return [*problems, *(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())]
    problems += [f"{name}: is empty" for name in ("issues", "match") if not getattr(known, name)]
    if any(match.of_an_exception is match.of_a_tensor for match in known.match):
        problems.append("match: asks for both an exception and a tensor, or for neither")
    if (known.state is State.FIXED) is not bool(known.fixed_in):
        problems.append("fixed_in: belongs to the state fixed, and only to it")
    return problems

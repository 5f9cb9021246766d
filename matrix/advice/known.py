"""Upstream failures that are known: which wrong tensors and exceptions are theirs, and where they are discussed."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import tomllib
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from matrix.advice.match import Match
from matrix.errors import DataFileError
from matrix.model import Case, EnvironmentInfo, Failure, Finding

PATH: Final = Path(__file__).parents[1] / "known.toml"
_ID: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class UpstreamState(StrEnum):
    """The state of a failure upstream."""

    OPEN = "open"
    FIXED = "fixed"
    UNKNOWN = "unknown"


Link = Annotated[str, Field(pattern=r"^https://github\.com/[\w.-]+/[\w.-]+/(issues|pull|commit)/[0-9a-f]+$")]
Words = Annotated[str, Field(min_length=1)]
Pair = Annotated[str, Field(pattern=r"^[\w.]+\+[\w.]+$")]


@dataclass(frozen=True)
class Proof:
    """Pairs transformers+deepspeed with records in docs/evidence: it is in each of `bad`, and in none of `good`.

    `becomes` names the entry of the same models from the upper bound of its versions on, until the fix.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    bad: Annotated[tuple[Pair, ...], Field(min_length=1)]
    good: tuple[Pair, ...] = ()
    becomes: str = ""


@dataclass(frozen=True)
class Known:
    """A failure that is known upstream: `issues` are addresses, `fixed_in` names a package and the first version without it.

    That version is also without what the failure became. Its versions rest on records, the `evidence`; or `read_not_run` says why they were only read in the sources.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: str
    title: Words
    issues: tuple[Link, ...]
    state: UpstreamState
    match: tuple[Match, ...]
    fixed_in: str = ""
    evidence: Proof | None = None
    read_not_run: str = ""

    @property
    def outlook(self) -> str:
        """Whether it is fixed and since when, in words; what was only read says so."""
        if self.fixed_in:
            return f"fixed in {self.fixed_in}{' (read in the sources, not run)' if self.read_not_run else ''}"
        return "state unknown" if self.state is UpstreamState.UNKNOWN else str(self.state)

    def explains(self, case: Case, environment: EnvironmentInfo, cause: Failure | Finding) -> bool:
        """Returns whether it is why `case` has `cause`, an exception or a wrong tensor, in `environment`."""
        return any(match.explains(case, environment, cause) for match in self.match)


def describe_known(known: Known, about: str = "") -> str:
    """Returns where a failure is discussed, and what it is; `about` is what it hits."""
    return f"known upstream ({', '.join(known.issues)}): {known.title}{about}"


def find_known(known: Iterable[Known], cases: Iterable[Case], environment: EnvironmentInfo) -> tuple[Known, ...]:
    """Returns the entries that explain anything that went wrong in `cases`, all in `environment`."""
    wrong = [(case, cause) for case in cases for cause in (*case.findings, *([case.error] if case.error else ()))]
    return tuple(one for one in known if any(one.explains(case, environment, cause) for case, cause in wrong))


_ENTRY: Final = TypeAdapter(Known)


def load_known(path: Path = PATH) -> tuple[Known, ...]:
    """Reads the known failures of the file at `path`, in its order; raises DataFileError with all of its mistakes."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataFileError(path, [str(error)]) from error
    if problems := [f"[{name}] {problem}" for name, entry in entries.items() for problem in _problems(name, entry)]:
        raise DataFileError(path, problems)
    return tuple(_ENTRY.validate_python(entry | {"id": name}) for name, entry in entries.items())


def _problems(name: str, entry: Any) -> list[str]:
    if not isinstance(entry, Mapping):
        return ["is not a table"]
    problems = [] if _ID.fullmatch(name) else ["a name must be lowercase words joined by hyphens"]
    try:
        known = _ENTRY.validate_python({**entry, "id": name})
    except ValidationError as error:
        return [*problems, *(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())]
    problems += [f"{name}: is empty" for name in ("issues", "match") if not getattr(known, name)]
    if any(match.of_an_exception is match.of_a_tensor for match in known.match):
        problems.append("match: must describe either an exception or a tensor, not both")
    if (known.state is UpstreamState.FIXED) is not bool(known.fixed_in):
        problems.append("fixed_in: required where the state is fixed, not allowed elsewhere")
    if bool(known.evidence) is bool(known.read_not_run):
        problems.append("evidence: either that or read_not_run must be there")
    return problems

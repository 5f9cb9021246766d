"""Reads the table of what counts as loading code, loading_code.toml."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import tomllib

from matrix.checks import DEFAULT
from matrix.environments.packages import PACKAGES
from matrix.errors import UnknownNameError
from matrix.model import Check

TABLE: Final = Path(__file__).parents[1] / "loading_code.toml"


@dataclass(frozen=True)
class LoadingRule:
    """What counts in the files whose path matches `path`.

    With neither `symbols` nor `words` every line of code counts; otherwise only what is in one of `symbols` or matches
    one of `words`. What is in one of `neutral`, matches one of `ignore`, or matches one of `inside` or is indented under
    a line that does, never counts. A symbol `A.b` is `b` where `A` encloses it or what encloses it is not
    shown. `only_tensors` leaves out lines of `__init__` that set plain values.
    `entries` says that the keys of the file's dictionaries are models: an entry that is new is about its model alone.
    """

    path: re.Pattern[str]
    why: str
    symbols: frozenset[str] = frozenset()
    neutral: frozenset[str] = frozenset()
    words: tuple[re.Pattern[str], ...] = ()
    ignore: tuple[re.Pattern[str], ...] = ()
    inside: tuple[re.Pattern[str], ...] = ()
    checks: tuple[Check, ...] = DEFAULT.checks
    only_tensors: bool = False
    entries: bool = False

    @property
    def narrow(self) -> bool:
        """Tests whether only listed symbols and words count."""
        return bool(self.symbols or self.words)

    def names(self, name: str, around: Sequence[str]) -> bool:
        """Tests whether `name`, with `around` as all names around a line, is one of the symbols."""
        owners = {symbol.rpartition(".")[0] for symbol in self.symbols if symbol.rpartition(".")[2] == name}
        return "" in owners or any(owner in around or around[0] == name for owner in owners)

    def ignores(self, line: str) -> bool:
        """Tests whether `line` by itself concerns what is not measured."""
        return any(word.search(line) for word in self.ignore)

    def excludes(self, line: str) -> bool:
        """Tests whether `line`, with everything that is indented under it, concerns what is not measured."""
        return any(word.search(line) for word in self.inside)

    def model(self, path: str) -> str:
        """Returns the folder of the model whose file `path` is; empty for what all models share."""
        found = self.path.fullmatch(path)
        return found.groupdict().get("model") or "" if found else ""


@dataclass(frozen=True)
class RepositoryRules:
    """The rules of the repository of a package of packages.toml."""

    package: str
    rules: tuple[LoadingRule, ...]

    def rule(self, path: str) -> LoadingRule | None:
        """Returns the first rule for `path`; None when no change to it can matter."""
        return next((rule for rule in self.rules if rule.path.fullmatch(path)), None)


def find_rules(full_name: str) -> RepositoryRules:
    """Returns the rules for `owner/name`, by the name alone, so that forks count; raises UnknownNameError."""
    name = full_name.rpartition("/")[2].lower()
    known = {known: entry for entry in _table() for known in PACKAGES[entry.package].repository_names}
    if name not in known:
        raise UnknownNameError("repository", [full_name], list(known))
    return known[name]


@cache
def _table() -> tuple[RepositoryRules, ...]:
    data = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return tuple(
        RepositoryRules(entry["package"], tuple(_rule(rule) for rule in entry["rule"])) for entry in data["repository"]
    )


def _rule(values: Mapping[str, Any]) -> LoadingRule:
    return LoadingRule(
        path=re.compile("|".join(values["paths"])),
        why=values["why"],
        symbols=frozenset(values.get("symbols", ())),
        neutral=frozenset(values.get("neutral", ())),
        words=tuple(re.compile(word) for word in values.get("words", ())),
        ignore=tuple(re.compile(word) for word in values.get("ignore", ())),
        inside=tuple(re.compile(word) for word in values.get("inside", ())),
        checks=tuple(Check(check) for check in values.get("checks", DEFAULT.checks)),
        only_tensors=values.get("only_tensors", False),
        entries=values.get("entries", False),
    )

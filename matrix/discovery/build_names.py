"""Makes `saved_names.json`: asks the probe of each version what it saves of every tiny model, and keeps what changes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from matrix.catalog.lock import Lock
from matrix.catalog.lockfile import SAVED
from matrix.discovery.answers import SavedAnswer
from matrix.discovery.build_lock import (
    PROCESSES,
    DiscoverySetup,
    ask_once,
    cache_path,
    find_log,
    install_interpreter,
    pick_environments,
)
from matrix.environments.spec import Environment
from matrix.errors import ProbeDiedError
from matrix.measure.probe_process import ask as ask_probe
from matrix.measure.probe_process import last_line
from matrix.saved_names import SavedNames, fold
from matrix.versions import sort_versions

_ANSWER = TypeAdapter(SavedAnswer)
_ANSWERS: TypeAdapter[tuple[SavedAnswer, ...]] = TypeAdapter(tuple[SavedAnswer, ...])


@dataclass
class NamesBuilder:
    """The names as they grow: version after version, the oldest first."""

    releases: list[str] = field(default_factory=list)
    known: dict[str, list[SavedNames]] = field(default_factory=dict)

    def add(self, version: str, recipes: Mapping[str, Mapping[str, Any]], answers: Iterable[SavedAnswer]) -> None:
        """Adds what one more version saves; nothing of an architecture that it cannot save."""
        self.releases.append(version)
        for one in answers:
            if one.tensors:
                self._note(one.id, SavedNames(version, version, recipes[one.id], one.tensors))

    def _note(self, name: str, new: SavedNames) -> None:
        known = self.known.setdefault(name, [])
        if known and known[-1].tensors == new.tensors:
            known[-1] = replace(known[-1], last=new.last, recipe=new.recipe)
        else:
            known.append(new)

    def format(self) -> str:
        """Returns the file's text, with a line for each architecture."""
        lines = [f"  {json.dumps(name)}: {_format(self.known[name])}" for name in sorted(self.known)]
        head = f'{{\n "releases": {json.dumps(self.releases)},\n "architectures": {{\n'
        return head + ",\n".join(lines) + "\n }\n}\n"


def _format(known: Sequence[SavedNames]) -> str:
    entries = [
        {"first": one.first, "last": one.last, "recipe": one.recipe, "names": fold(one.tensors)} for one in known
    ]
    return json.dumps(entries, separators=(",", ":"))


def build_names(lock: Lock, environments: Sequence[Environment], means: DiscoverySetup) -> str:
    """Returns the text of `saved_names.json` for all versions of transformers in `environments`, which `lock` has too.

    Raises EnvironmentFailedError and ProbeDiedError.
    """
    by_version = {one.transformers: one for one in pick_environments(environments)}
    names = NamesBuilder()
    for version in sort_versions(by_version):
        recipes = select_recipes(lock, version)
        names.add(version, recipes, _ask(by_version[version], recipes, means))
    return names.format()


def select_recipes(lock: Lock, version: str) -> Mapping[str, Mapping[str, Any]]:
    """Returns the configuration of the tiny recipe of every architecture that is measured in `version`."""
    known = {one.id: one for one in lock.architectures}
    return {name: known[name].config(version) for name in lock.measured(version)}


def _ask(
    environment: Environment, recipes: Mapping[str, Mapping[str, Any]], means: DiscoverySetup
) -> tuple[SavedAnswer, ...]:
    entries = [{"id": name, "config": recipe} for name, recipe in recipes.items()]

    def ask() -> tuple[SavedAnswer, ...]:
        interpreter = install_interpreter(environment, means)
        means.progress.step(f"saving {len(entries)} architectures with transformers {environment.transformers}")
        log = find_log(environment, means)
        question = {"architectures": entries, "processes": PROCESSES}
        answers = tuple(ask_probe("saved", question, interpreter, log, _ANSWER))
        if len(answers) < len(entries):
            raise ProbeDiedError("saving every architecture", log, last_line(log))
        return answers

    question = json.dumps(entries, sort_keys=True)
    return ask_once(cache_path("saved", SAVED, environment, means, question), _ANSWERS, ask)

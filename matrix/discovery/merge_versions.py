"""PURE. Merges what the probe discovered in each version into the lock: what is chosen, and why something is not measured."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from packaging.version import Version

from matrix.catalog.families import choose_family
from matrix.catalog.lock import TINY, Lock, LockedArchitecture, ScannedVersion
from matrix.catalog.set_cover import cover, cover_left, rank_head
from matrix.discovery.answers import CensusAnswer, Discovery, FoundClass
from matrix.versions import version_key

Values = Mapping[str, Any]
_Table = TypeVar("_Table")

_NEEDS = re.compile(r"(?:requires the |No module named ')([\w.-]+)")
_REASON = 200
"""Characters of a reason: the rest of upstream's message is about something else."""


def choose_classes(discovery: Discovery, kept: Sequence[str]) -> tuple[FoundClass, ...]:
    """Returns for each model type the fewest classes that together have all its sites; prefers those `kept` before.

    To them it adds the fewest with what a list keeps in float32: that no list names a buffer's bearer changes nothing.
    """
    types: dict[str, dict[str, FoundClass]] = defaultdict(dict)
    for found in discovery.found:
        if found.sites or found.float32:
            types[found.id.partition(":")[0]][found.id] = found
    names = [name for classes in types.values() for name in _covering(classes, kept)]
    return tuple(found for found in discovery.found if found.id in names)


def _covering(classes: Mapping[str, FoundClass], kept: Sequence[str]) -> tuple[str, ...]:
    bearers = {name: [f"{site} {dtype}" for site, dtype in found.sites.items()] for name, found in classes.items()}

    def rank(name: str) -> tuple[bool, int, int]:
        return name not in kept, rank_head(name.partition(":")[2]), classes[name].parameters

    chosen = cover(bearers, rank)
    return (*chosen, *cover_left({name: found.float32 for name, found in classes.items()}, chosen, rank))


def choose_popular(
    names: Sequence[str], chosen: Sequence[FoundClass], configs: Mapping[str, Values]
) -> tuple[FoundClass, ...]:
    """Returns the popular classes that were not `chosen` for their buffers; `configs` are by model type."""
    left = [name for name in names if name not in {found.id for found in chosen}]
    return tuple(FoundClass(name, config=configs.get(name.partition(":")[0], {})) for name in left)


def shorten_reason(error: str) -> str:
    """Returns in few words why something could not be built."""
    packages = sorted(set(_NEEDS.findall(error)))
    if "couldn't connect to" in error:
        return "its default configuration is fetched from a hub"
    return f"needs {' and '.join(packages)}" if packages else error[:_REASON]


def find_unbuilt(discovery: Discovery) -> dict[str, str]:
    """Returns one class of each model type that could not be built though it may have buffers, and why."""
    failed = sorted(
        (rank_head(found.id.partition(":")[2]), found.id, found.error) for found in discovery.found if found.error
    )
    named: dict[str, tuple[str, str]] = {}
    for _, name, error in failed:
        named.setdefault(name.partition(":")[0], (name, shorten_reason(error)))
    return dict(named.values())


def find_not_tiny(answers: Sequence[CensusAnswer]) -> dict[str, str]:
    """Returns the chosen architectures that cannot be made tiny with all their sites, and why."""
    failed = {answer.id: shorten_reason(answer.message) for answer in answers if answer.status != "ok"}
    lost = {answer.id: f"{TINY} has no {', '.join(answer.missing)}" for answer in answers if answer.missing}
    return {**failed, **lost}


def find_mistaken(discovery: Discovery, answers: Sequence[CensusAnswer]) -> dict[str, str]:
    """Returns the architectures that became tiny from another model than was discovered, and the sites that differ.

    Such a result is not used: a recipe that is read twice must give the same model twice.
    """
    found = {one.id: one.sites.items() for one in discovery.found}
    other = {one.id: found[one.id] ^ one.sites.items() for one in answers if one.status == "ok" and one.id in found}
    return {
        name: f"{TINY} is another one than was discovered: {', '.join(sorted({site for site, _ in sites}))}"
        for name, sites in other.items()
        if sites
    }


@dataclass
class LockBuilder:
    """The lock as it grows: version after version, the newest first, so that older ones keep what newer ones chose."""

    popular: tuple[str, ...] = ()
    versions: dict[str, ScannedVersion] = field(default_factory=dict)
    seen: dict[str, list[str]] = field(default_factory=dict)
    architectures: dict[str, LockedArchitecture] = field(default_factory=dict)

    def seed(self, name: str) -> Mapping[str, Any]:
        """Returns the recipe that made `name` tiny in the version before."""
        known = self.architectures.get(name)
        return known.configs[min(known.configs, key=version_key)] if known else {}

    def add(self, discovery: Discovery, answers: Sequence[CensusAnswer]) -> None:
        """Adds what was chosen and measured in one more version, older than all before; not popular ones that it has not."""
        found = {one.id for one in discovery.found}
        answers = [one for one in answers if one.id in found or one.status != "no_class"]
        unchecked = {**find_unbuilt(discovery), **find_not_tiny(answers), **find_mistaken(discovery, answers)}
        broken = {one.id: shorten_reason(one.broken) for one in answers if one.broken and one.id not in unchecked}
        self.versions[discovery.version] = ScannedVersion(unchecked, (), discovery.unreached, broken)
        for answer in answers:
            if answer.id not in unchecked:
                self._note(answer, discovery.version)

    def _note(self, answer: CensusAnswer, version: str) -> None:
        known = self.architectures.get(answer.id)
        configs = _older(known.configs if known else {}, answer.config, version)
        sites = _older(known.sites if known else {}, answer.sites, version)
        float32 = _older(known.float32 if known else {}, answer.float32, version)
        family = choose_family(answer.sites, answer.float32)
        last = known.last if known else version
        family = known.family if known and known.family != "popular" else family
        self.architectures[answer.id] = LockedArchitecture(answer.id, family, sites, version, last, configs, float32)
        self.seen.setdefault(answer.id, []).append(version)

    def lock(self, inputs: str) -> Lock:
        """Returns the lock of all versions that were added."""
        return Lock(
            inputs,
            {version: self._with_absent(version, looked) for version, looked in self.versions.items()},
            tuple(self.architectures.values()),
            self.popular,
        )

    def _with_absent(self, version: str, looked: ScannedVersion) -> ScannedVersion:
        here = Version(version)
        absent = sorted(
            one.id
            for one in self.architectures.values()
            if Version(one.first) < here < Version(one.last)
            and version not in self.seen[one.id]
            and one.id not in looked.unchecked
        )
        return replace(looked, absent=tuple(absent))


def _older(configs: Mapping[str, _Table], config: _Table, version: str) -> dict[str, _Table]:
    """Returns `configs`, or other tables by version, extended to `version`: with one more, unless the oldest is the same."""
    if not configs:
        return {version: config}
    oldest = min(configs, key=version_key)
    if configs[oldest] == config:
        return {version: config, **{name: value for name, value in configs.items() if name != oldest}}
    return {version: config, **configs}

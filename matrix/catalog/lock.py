"""PURE. The generated half of the catalog: which architectures have which buffers, in which versions of transformers.

So too for the tensors that a list of the release keeps in float32, and for popular architectures, whatever they have.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from packaging.version import Version

from matrix.model import Architecture
from matrix.versions import parse_version, version_key

TINY: Final = "its tiny model"
"""How a reason begins that is about the tiny model: the full-size one may well be measured."""

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class LockedArchitecture:
    """An architecture with buffers, or tensors kept in float32, or a popular one.

    It is in the scanned versions `first` to `last` of transformers.
    """

    id: str
    family: str
    sites: Mapping[str, Mapping[str, str]]
    """For each version from which they hold: the dtypes of its persistent buffers by "ModuleClass.name"."""
    first: str
    last: str
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """For each version from which it holds: what its tiny recipe needs beyond the rules."""
    float32: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For each version from which they hold: the tensors that the lists of that release keep in float32, by site."""

    @property
    def bears(self) -> bool:
        """Whether it has buffers, or tensors kept in float32, in any version."""
        return any(self.sites.values()) or any(self.float32.values())

    def architecture(self, transformers: str = "") -> Architecture:
        """Returns it as the probe builds it with a version of transformers; with the newest when that is empty."""
        return Architecture(self.id, self.family, self.config(transformers))

    def config(self, transformers: str) -> Mapping[str, Any]:
        """Returns the configuration of the recipe with that version; with the newest when that is empty."""
        return _holding(self.configs, transformers, {})

    def sites_in(self, transformers: str = "") -> Mapping[str, str]:
        """Returns the dtypes of its persistent buffers in that version; in the newest when that is empty."""
        return _holding(self.sites, transformers, {})

    def float32_in(self, transformers: str = "") -> tuple[str, ...]:
        """Returns the sites of tensors that the lists of that version keep in float32; of the newest when that is empty."""
        return _holding(self.float32, transformers, ())


def _holding(table: Mapping[str, _Value], transformers: str, otherwise: _Value) -> _Value:
    """Returns what holds in that version: from the nearest one that is not newer, else from the oldest that is known."""
    known = sorted(table, key=version_key)
    wanted = parse_version(transformers)
    older = [version for version in known if wanted is None or Version(version) <= wanted]
    return table[(older or known[:1])[-1]] if known else otherwise


@dataclass(frozen=True)
class ScannedVersion:
    """What discovery found in one version of transformers."""

    unchecked: Mapping[str, str]
    """Architectures that have buffers, or may have, or are popular, and are not measured, each with the reason."""
    absent: tuple[str, ...] = ()
    """Architectures that are not measured in this version, but in an earlier and in a later one: nothing is there to see."""
    unreached: tuple[str, ...] = ()
    """Buffers that the sources register and that are in no model."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Measured architectures whose plain load fails in one process, each with the reason: no verdict about ZeRO-3."""


@dataclass(frozen=True)
class Lock:
    """The whole file."""

    inputs: str
    """A digest of everything that the file is made from."""
    versions: Mapping[str, ScannedVersion]
    architectures: tuple[LockedArchitecture, ...]
    popular: tuple[str, ...] = ()
    """The ids that are counted apart, because many people train them. Some have buffers too."""

    def measured(self, transformers: str) -> tuple[str, ...]:
        """Returns the ids that can be measured in a scanned version; raises KeyError for any other."""
        looked, version = self.versions[transformers], Version(transformers)
        without = {*looked.absent, *looked.unchecked}
        spans = [a.id for a in self.architectures if Version(a.first) <= version <= Version(a.last)]
        return tuple(name for name in spans if name not in without)

    def bearing(self, transformers: str) -> tuple[str, ...]:
        """Returns those of `measured` that have buffers, or tensors kept in float32, in that version; raises KeyError."""
        known = {one.id: one for one in self.architectures}
        names = self.measured(transformers)
        return tuple(n for n in names if known[n].sites_in(transformers) or known[n].float32_in(transformers))

    def unchecked_bearers(self, transformers: str) -> frozenset[str]:
        """Returns the ids that are not measured in a scanned version and count among those with buffers."""
        alone = {*self.popular} - {one.id for one in self.architectures if one.bears}
        return frozenset(self.versions[transformers].unchecked.keys() - alone)

    def checked(self, transformers: str) -> tuple[int, int]:
        """Returns how many architectures with buffers or a float32 list can be checked, and how many there are."""
        names, broken = self.bearing(transformers), self.versions[transformers].broken
        return len({*names} - broken.keys()), len(names) + len(self.unchecked_bearers(transformers))

    def checked_popular(self, transformers: str) -> tuple[int, int]:
        """Returns how many popular architectures of a scanned version can be checked, and how many there are."""
        looked = self.versions[transformers]
        names = {*self.measured(transformers)}.intersection(self.popular)
        return len(names - looked.broken.keys()), len(names | looked.unchecked.keys() & {*self.popular})

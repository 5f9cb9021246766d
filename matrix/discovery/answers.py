"""PURE. The types of the probe's answers to discovery."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FoundClass:
    """A model class that has buffers, or may have: then `error` says why it could not be built.

    `float32` are the sites of tensors that the release's lists keep in float32. `config` is what had to be changed in its
    default configuration.
    """

    id: str
    sites: Mapping[str, str] = field(default_factory=dict)
    parameters: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    float32: tuple[str, ...] = ()


@dataclass(frozen=True)
class CensusAnswer:
    """The census's answer about one architecture: its tiny recipe's `config` and the sites that it lost, or a `message`.

    `float32` are the sites of tensors of the tiny model that the release's lists keep in float32.
    `broken` says why a plain load of the tiny model fails, empty when it does not.
    """

    id: str
    status: str
    message: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    sites: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    parameters: int = 0
    broken: str = ""
    float32: tuple[str, ...] = ()


@dataclass(frozen=True)
class Discovery:
    """What one version of transformers has: every class that was found, and buffers of its sources found in no model."""

    version: str
    found: tuple[FoundClass, ...]
    unreached: tuple[str, ...] = ()


@dataclass(frozen=True)
class SavedAnswer:
    """What `save_pretrained` of one release writes of an architecture's tiny model; nothing, and a `message`, where it fails."""

    id: str
    tensors: Mapping[str, str]
    message: str = ""

"""The generated half of the catalog, `catalog.lock.json`: which architectures bear which buffers, in which versions."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from packaging.version import Version
from pydantic import TypeAdapter, ValidationError

from matrix.environments.spec import Environment
from matrix.errors import DataFileError
from matrix.model import Architecture
from matrix.versions import parse_version

PATH = Path(__file__).parents[1] / "catalog.lock.json"

DISCOVERY: Final = (
    "catalog.toml",
    "probe/compat.py",
    "probe/exceptions.py",
    "probe/ranks/ipc.py",
    *(f"probe/discovery/{name}.py" for name in ("__main__", "scan", "source_scan")),
    *(f"probe/tiny/{name}.py" for name in ("buffer_sites", "classes", "recipes", "search")),
    "probe/hub/models--timm--repvit_m1.dist_in1k/snapshots/0/config.json",
)
"""What the discovery of a version follows from, beside what is installed."""
CENSUS: Final = (
    *DISCOVERY,
    "probe/uninitialized.py",
    "probe/discovery/census.py",
    "probe/tiny/odd_sizes.py",
    *(f"probe/checkpoint/{name}.py" for name in ("baseline", "fixture", "judge", "sentinels")),
)
"""What the census follows from, beside what is installed and what it is asked."""
_LOCK_FILES: Final = (
    *CENSUS,
    *(f"catalog/{name}.py" for name in ("families", "lockfile", "set_cover")),
    *(f"discovery/{name}.py" for name in ("build_lock", "merge_versions")),
)
"""What the lock follows from, beside the versions that were looked at."""
TINY: Final = "its tiny model"
"""How a reason begins that is about the tiny model: the full-size one may well be measured."""


@dataclass(frozen=True)
class Locked:
    """An architecture that bears buffers from version `first` to `last` of transformers, of those looked at.

    `sites` are the dtypes of its persistent buffers by "ModuleClass.name", `configs` is what its tiny recipe is told
    beyond the rules; each by the version from which that holds.
    """

    id: str
    family: str
    sites: Mapping[str, Mapping[str, str]]
    first: str
    last: str
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def architecture(self, transformers: str = "") -> Architecture:
        """It as the probe builds it with a version of transformers; with the newest when that is none."""
        return Architecture(self.id, self.family, self.config(transformers))

    def config(self, transformers: str) -> Mapping[str, Any]:
        """What the recipe is told with that version; with the newest when that is none."""
        return _holding(self.configs, transformers)

    def sites_in(self, transformers: str = "") -> Mapping[str, str]:
        """The dtypes of its persistent buffers in that version; in the newest when that is none."""
        return _holding(self.sites, transformers)


def _holding(table: Mapping[str, Mapping[str, Any]], transformers: str) -> Mapping[str, Any]:
    """What holds in that version: from the nearest one that is not newer, else from the oldest that is known."""
    known = sorted(table, key=Version)
    wanted = parse_version(transformers)
    older = [version for version in known if wanted is None or Version(version) <= wanted]
    return table[(older or known[:1])[-1]] if known else {}


@dataclass(frozen=True)
class Looked:
    """What discovery found in one version of transformers.

    `unchecked` says why some that bear buffers, or may, are not measured; `absent` names those that bear none here
    though they do before and after; `unreached` are buffers that its sources register and no model there has. `broken`
    says why a plain load, in one process, fails for some that are measured: nothing is learnt of ZeRO-3 from them.
    """

    unchecked: Mapping[str, str]
    absent: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Lock:
    """The whole file. `inputs` is a digest of what it follows from."""

    inputs: str
    versions: Mapping[str, Looked]
    architectures: tuple[Locked, ...]

    def bearing(self, transformers: str) -> tuple[str, ...]:
        """The ids that can be measured in a version that was looked at; raises KeyError for any other."""
        looked, version = self.versions[transformers], Version(transformers)
        without = {*looked.absent, *looked.unchecked}
        spans = [a.id for a in self.architectures if Version(a.first) <= version <= Version(a.last)]
        return tuple(name for name in spans if name not in without)

    def checked(self, transformers: str) -> tuple[int, int]:
        """How many architectures of a version that was looked at can be checked, and how many there are."""
        looked, bearing = self.versions[transformers], self.bearing(transformers)
        return len(bearing) - len(looked.broken), len(bearing) + len(looked.unchecked)


_LOCK = TypeAdapter(Lock)


def read_lock(path: Path = PATH) -> Lock:
    """What `path` holds; raises DataFileError."""
    try:
        return _LOCK.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataFileError(path, [f"{error}; `nox -s catalog` writes it"]) from error


def canonical(lock: Lock) -> str:
    """The file's text: the same for the same lock, and a short diff for a small change."""
    values = asdict(lock)
    values["architectures"] = [_told(one) for one in sorted(values["architectures"], key=_by_id)]
    values["versions"] = {
        version: {name: value for name, value in values["versions"][version].items() if value}
        for version in sorted(values["versions"], key=Version)
    }
    for looked in values["versions"].values():
        looked.update({why: dict(sorted(looked.get(why, {}).items())) for why in ("unchecked", "broken")})
    return json.dumps(values, indent=1, sort_keys=False, ensure_ascii=True) + "\n"


def _told(architecture: dict[str, Any]) -> dict[str, Any]:
    """Without configurations, where the rules alone do in every version."""
    if not any(architecture["configs"].values()):
        del architecture["configs"]
    return architecture


def _by_id(values: Mapping[str, Any]) -> str:
    return str(values["id"])


def inputs_digest(environments: Iterable[Environment], files: Sequence[str] = _LOCK_FILES) -> str:
    """Changes whenever one of the `files` beside this one does, or what is installed with a version of transformers.

    Not of deepspeed: where buffers are and how a plain load goes is transformers' own.
    """
    digest = hashlib.sha256()
    for name in files:
        digest.update(name.encode() + b"\0" + (PATH.parent / name).read_bytes())
    for installed in sorted({(one.transformers, one.torch, one.needs) for one in environments}):
        digest.update(json.dumps(installed).encode())
    return f"sha256:{digest.hexdigest()}"

"""Reads and formats the generated half of the catalog, `catalog.lock.json`."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from matrix.catalog.lock import Lock
from matrix.environments.spec import Environment
from matrix.errors import DataFileError
from matrix.versions import version_key

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
"""What the discovery of a version follows from, besides what is installed."""
CENSUS: Final = (
    *DISCOVERY,
    "probe/uninitialized.py",
    *(f"probe/discovery/{name}.py" for name in ("census", "each")),
    "probe/tiny/odd_sizes.py",
    *(f"probe/checkpoint/{name}.py" for name in ("baseline", "fixture", "floats", "judge", "sentinels")),
)
"""What the census follows from, besides what is installed and what it is asked."""
SAVED: Final = (*CENSUS, "saved_names.py", "probe/discovery/saved.py")
"""What the names that a version saves follow from, besides what is installed and what is asked."""
_LOCK_FILES: Final = (
    *CENSUS,
    *(f"catalog/{name}.py" for name in ("families", "lock", "lockfile", "set_cover")),
    *(f"discovery/{name}.py" for name in ("answers", "build_lock", "merge_versions")),
)
"""What the lock follows from, besides the versions that were scanned."""

_LOCK = TypeAdapter(Lock)


def read_lock(path: Path = PATH) -> Lock:
    """Reads the lock in `path`; raises DataFileError."""
    try:
        lock = _LOCK.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataFileError(path, [f"{error}; `nox -s catalog` writes it"]) from error
    counts = Counter(one.id for one in lock.architectures)
    if twice := [f"{name} is there twice" for name, number in counts.items() if number > 1]:
        raise DataFileError(path, twice)
    return lock


def format_lock(lock: Lock) -> str:
    """Returns the file's text: the same for the same lock, and a short diff for a small change."""
    values = asdict(lock)
    values["architectures"] = [_without_empty(one) for one in sorted(values["architectures"], key=_by_id)]
    values["versions"] = {
        version: {name: value for name, value in values["versions"][version].items() if value}
        for version in sorted(values["versions"], key=version_key)
    }
    for looked in values["versions"].values():
        looked.update({why: dict(sorted(looked.get(why, {}).items())) for why in ("unchecked", "broken")})
    return json.dumps(values, indent=1, sort_keys=False, ensure_ascii=True) + "\n"


def _without_empty(architecture: dict[str, Any]) -> dict[str, Any]:
    """Leaves out what is empty in every version: configurations where the rules alone do, and lists that name nothing."""
    optional = {name: architecture.pop(name) for name in ("configs", "float32")}
    return {**architecture, **{name: table for name, table in optional.items() if any(table.values())}}


def _by_id(values: Mapping[str, Any]) -> str:
    return str(values["id"])


def inputs_digest(environments: Iterable[Environment], files: Sequence[str] = _LOCK_FILES) -> str:
    """Returns a digest that changes with the `files`, below `matrix`, and with what is installed together with a version of transformers.

    Not of deepspeed: where buffers are and how a plain load goes is transformers' own.
    """
    digest = hashlib.sha256()
    for name in files:
        digest.update(name.encode() + b"\0" + (PATH.parent / name).read_bytes())
    for installed in sorted({(one.transformers, one.torch, one.needs) for one in environments}):
        digest.update(json.dumps(installed).encode())
    return f"sha256:{digest.hexdigest()}"

"""The catalog: which architectures are measured. Its entries are data, in catalog.toml."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomllib

from matrix.model import Architecture

PATH = Path(__file__).with_name("catalog.toml")

FAMILIES = {
    "router": "what steers a mixture of experts",
    "batchnorm": "running statistics beside parameters",
    "frozen_batchnorm": "a norm made of buffers only",
    "codebook": "a quantizer's tables",
    "logits_bias": "a bias of the outermost module",
    "clippable": "bounds of clipped linears, layer scalars",
    "position": "indices and embeddings of positions",
    "integer": "integer, bool and fixed-point values",
    "loss_weight": "class weights of a loss",
    "other": "persistent buffers of no other family",
    "rope": "non-persistent buffers only",
    "control": "no buffer that decides anything",
}
"""What each family's architectures have in common, in the order of the catalog."""

ID = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*:[A-Z][A-Za-z0-9_]*")


def load_catalog(path: Path = PATH) -> tuple[Architecture, ...]:
    """The architectures of the catalog at `path`, in the order of the file.

    Raises ValueError with everything that is wrong with the file, a line each, and OSError when it cannot be read.
    """
    entries = _entries(path)
    problems = [
        f"{path.name}: {name}: {problem}" for name, entry in entries.items() for problem in _problems(name, entry)
    ]
    if problems:
        raise ValueError("\n".join(problems))
    return tuple(Architecture(name, entry["family"], entry.get("config", {})) for name, entry in entries.items())


def catalog_hash(path: Path = PATH) -> str:
    """The SHA-256 of the bytes of the file, as "sha256:" and 64 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def _entries(path: Path) -> Mapping[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name}: {error}") from error
    entries = document.pop("architectures", None)
    if document or not isinstance(entries, dict) or not entries:
        raise ValueError(f"{path.name}: expected one table [architectures] with entries, found {sorted(document)}")
    return entries


def _problems(name: str, entry: Any) -> Iterator[str]:
    if not ID.fullmatch(name):
        yield "an id is written model_type:ClassName"
    if not isinstance(entry, dict):
        yield "an entry is a table with a family"
        return
    if unknown := sorted(entry.keys() - {"family", "config"}):
        yield f"unknown keys {', '.join(unknown)}"
    if entry.get("family") not in FAMILIES:
        yield f"family {entry.get('family')!r} is none of {', '.join(FAMILIES)}"
    if not isinstance(entry.get("config", {}), dict):
        yield "config is a table of configuration values"

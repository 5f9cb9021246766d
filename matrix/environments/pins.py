"""Pins of packages: how they are written in requirements and in ids. Standard library only.

The noxfile imports this, in nox's own interpreter, where nothing of the project is installed.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from matrix.environments.packages import INSTALLABLE, PACKAGES, REQUIRED

ADDRESS: Final = re.compile(r"git\+((?:https|file)://[^@#\s]+)@([0-9a-f]{40})(#subdirectory=[\w./-]+)?")
"""A package at a commit: its repository and the commit's 40 digits."""
_VERSION: Final = re.compile(r"\d+(\.\d+)*((a|b|rc|\.dev|\.post)\d+)?(\+[a-z0-9.]+)?")
_NEED: Final = re.compile(r"([\w.-]+)(?:==| @ (?:file://)?)(\S+)")
_COMMIT: Final = re.compile(r"://[^@#]*@([0-9a-f]{40})(?:#|$)")
_BUILT: Final = re.compile(r"^build/|^\.|/\.|_installed\.py$")
"""What installing from a folder leaves in it: setuptools' copies and deepspeed's git_version_info_installed.py."""


def is_version(pin: str) -> bool:
    """Returns whether `pin` names a release."""
    return bool(_VERSION.fullmatch(pin))


def find_commit(pin: str) -> str:
    """Returns the 40 digits of the commit that `pin` names; empty where it names none."""
    found = _COMMIT.search(pin)
    return found[1] if found else ""


def parse_needs(needs: Iterable[str]) -> dict[str, str]:
    """Returns the pins among `needs`, which are requirements, by package."""
    return {found[1]: found[2] for found in map(_NEED.fullmatch, needs) if found}


def build_requirement(name: str, pin: str) -> str:
    """Returns `pin` of package `name` as pip and uv take it; the name alone without a pin."""
    if not pin or is_version(pin):
        return f"{name}=={pin}" if pin else name
    return f"{name} @ {pin}" if "://" in pin else str(Path(pin).expanduser().resolve())


def build_need(name: str, pin: str) -> str:
    """Returns `pin` of an optional package as a requirement that has its name, also where it is a folder."""
    found = build_requirement(name, PACKAGES[name].located(pin))
    return f"{name} @ file://{found}" if found.startswith("/") else found


def label_pin(pin: str) -> str:
    """Returns the name of `pin` in an id: the version, the commit, or a digest of the folder's Python files."""
    if is_version(pin):
        return pin.replace("+", "_")  # a plus separates the pins of an id
    if "://" in pin:
        ref = re.search(r"://[^/]*/[^@#]*@([^#]+)", pin)
        return "git." + _shorten(ref[1] if ref else "head")
    return f"local.{_hash_folder(Path(pin).expanduser())}"


def _shorten(ref: str) -> str:
    """Returns a commit's first digits, or the whole name of a branch or tag."""
    return ref[:12] if re.fullmatch(r"[0-9a-f]{12,40}", ref) else re.sub(r"[^\w.]+", "-", ref)


def _hash_folder(folder: Path) -> str:
    """Returns a digest of the Python files under `folder`, the same wherever the folder is."""
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.py"))
    digest = hashlib.sha256()
    for name in names:
        if not _BUILT.search(name):
            digest.update(f"{name}\0".encode() + hashlib.sha256((folder / name).read_bytes()).digest())
    return digest.hexdigest()[:12]


def build_id(pins: Mapping[str, str]) -> str:
    """Returns the id, without a device, of an environment with these pins."""
    return "+".join(f"{name}-{label_pin(pin)}" for name, pin in pins.items())


def parse_id(environment_id: str) -> dict[str, str]:
    """Returns the label of each package in an id without its device; empty for anything but an id."""
    found = {name: part.removeprefix(f"{name}-") for part in environment_id.split("+") if (name := _find_package(part))}
    labels = {name: found[name] for name in INSTALLABLE if found.get(name)}
    same = environment_id == "+".join(f"{name}-{found}" for name, found in labels.items())
    return labels if same and labels.keys() >= {*REQUIRED} else {}


def _find_package(part: str) -> str:
    """Returns the package that a part of an id is about: of two whose names begin alike, the longer."""
    return max((name for name in INSTALLABLE if part.startswith(f"{name}-")), key=len, default="")

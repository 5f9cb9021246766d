"""The environments that the matrix crosses, from `environments.toml` or named by the user. Standard library only.

The noxfile imports this, in nox's own interpreter, where nothing of the project is installed.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Final

import tomllib

from matrix.environments.packages import (
    CROSSED,
    INSTALLABLE,
    INSTALLED,
    OPTIONAL,
    PACKAGES,
    PINNED,
    RECORDED,
    REQUIRED,
)
from matrix.errors import DataFileError, PinError, UnknownNameError
from matrix.model import Device, EnvironmentInfo

ENVIRONMENTS: Final = Path(__file__).parents[1] / "environments.toml"
_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc|\.dev|\.post)\d+)?(\+[a-z0-9.]+)?")

ADDRESS: Final = re.compile(r"git\+((?:https|file)://[^@#\s]+)@([0-9a-f]{40})(#subdirectory=[\w./-]+)?")
"""A package at a commit: its repository and the commit's 40 digits."""
_COMMIT = re.compile(r"://[^@#]*@([0-9a-f]{40})(?:#|$)")
_NEED = re.compile(r"([\w.-]+)(?:==| @ (?:file://)?)(\S+)")
_BUILT = re.compile(r"^build/|^\.|/\.|_installed\.py$")
"""What installing from a folder leaves in it: setuptools' copies and deepspeed's git_version_info_installed.py."""


@dataclass(frozen=True)
class Environment:
    """Pins to measure. A pin is a version, a `git+https://...@commit` address or a source folder.

    `python` is a version specifier for the interpreter, empty when any will do; `needs` are further requirements.
    `name` is for an environment whose pins move, such as those at the tip of a branch: what is measured of it on
    different days is one history.
    """

    transformers: str
    deepspeed: str
    torch: str
    accelerate: str = ""
    python: str = ""
    needs: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    name: str = ""

    @property
    def id(self) -> str:
        """The stable name, without the device that a cell's id ends with."""
        return self.name or name_of(self.pins)

    @property
    def pins(self) -> dict[str, str]:
        """The pin of each package that has one, in the order of packages.toml; those of optional ones are among `needs`."""
        needed = {found[1]: found[2] for found in map(_NEED.fullmatch, self.needs) if found}
        pins = {name: vars(self).get(name) or needed.get(name, "") for name in INSTALLABLE}
        return {name: pin for name, pin in pins.items() if pin}

    @property
    def commits(self) -> dict[str, str]:
        """The packages that are pinned to a commit, with its 40 digits."""
        found = {name: _COMMIT.search(pin) for name, pin in self.pins.items()}
        return {name: match[1] for name, match in found.items() if match}

    @property
    def requirements(self) -> tuple[str, ...]:
        """What an installer is asked for."""
        pins = {name: vars(self)[name] for name in (*PINNED, *CROSSED, *INSTALLED)}
        wanted = (name for name, pin in pins.items() if pin or name in INSTALLED)
        return (*(requirement(name, pins[name]) for name in wanted), *self.needs)

    @property
    def released(self) -> "Environment":
        """Without the pins that are no releases: what installs without building a pull request's code."""
        pins: dict[str, Any] = {name: pin if is_version(pin := vars(self)[name]) else "" for name in RECORDED}
        return replace(self, needs=tuple(need for need in self.needs if "/" not in need), **pins)


def is_version(pin: str) -> bool:
    """Whether `pin` names a release."""
    return bool(_VERSION.fullmatch(pin))


def requirement(name: str, pin: str) -> str:
    """`pin` of package `name` as pip and uv take it."""
    if not pin or is_version(pin):
        return f"{name}=={pin}" if pin else name
    return f"{name} @ {pin}" if "://" in pin else str(Path(pin).expanduser().resolve())


def _need(name: str, pin: str) -> str:
    """`pin` of an optional package as a requirement that says its name, also where it is a folder."""
    found = requirement(name, PACKAGES[name].located(pin))
    return f"{name} @ file://{found}" if found.startswith("/") else found


def label(pin: str) -> str:
    """What stands for `pin` in an id: the version, the commit, or a digest of the folder's Python files."""
    if is_version(pin):
        return pin.replace("+", "_")  # a plus separates the pins of an id
    if "://" in pin:
        ref = re.search(r"://[^/]*/[^@#]*@([^#]+)", pin)
        return "git." + _short(ref[1] if ref else "head")
    return f"local.{_digest(Path(pin).expanduser())}"


def _short(ref: str) -> str:
    """A commit's first digits, or the whole name of a branch or tag."""
    return ref[:12] if re.fullmatch(r"[0-9a-f]{12,40}", ref) else re.sub(r"[^\w.]+", "-", ref)


def _digest(folder: Path) -> str:
    """Changes whenever a Python file under `folder` does, the same wherever the folder lies."""
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.py"))
    digest = hashlib.sha256()
    for name in names:
        if not _BUILT.search(name):
            digest.update(f"{name}\0".encode() + hashlib.sha256((folder / name).read_bytes()).digest())
    return digest.hexdigest()[:12]


def _pairs(data: Mapping[str, Any], name: str) -> Iterator[tuple[str, str]]:
    chosen = data["sets"][name]
    pairs = [tuple(pair.split("+")) for pair in chosen.get("pairs", [])]
    if "cross" in chosen:
        pairs += product(*(data[package] for package in CROSSED))
    for transformers, deepspeed in pairs:
        if f"{transformers}+{deepspeed}" not in data["exclusions"]:
            yield transformers, deepspeed


def _problems(data: Mapping[str, Any]) -> Iterator[str]:
    crossed = dict.fromkeys(CROSSED, dict)
    parts = {"torch": str, "optional": list, **crossed, "sets": dict, "exclusions": dict}
    if missing := [name for name, kind in parts.items() if not isinstance(data.get(name), kind)]:
        yield from (f"no {name}, or of the wrong kind" for name in missing)
        return
    for package in CROSSED:
        for version, line in data[package].items():
            if not _VERSION.fullmatch(version):
                yield f"[{package}] {version!r} is no version"
            if not (isinstance(line, dict) and line.get("why")):
                yield f"[{package}] {version!r} does not say why"
    named = [(f"sets.{name}", pair) for name, chosen in data["sets"].items() for pair in chosen.get("pairs", [])]
    for where, pair in [*named, *(("exclusions", pair) for pair in data["exclusions"])]:
        transformers, _, deepspeed = pair.partition("+")
        if transformers not in data["transformers"] or deepspeed not in data["deepspeed"]:
            yield f"[{where}] names {pair!r}, which is not a transformers+deepspeed pair of this file"
    for pair, reason in data["exclusions"].items():
        if not isinstance(reason, str) or not reason:
            yield f"[exclusions] {pair!r} has no reason"


def load_environments(path: Path = ENVIRONMENTS) -> tuple[Environment, ...]:
    """Every environment that some set of `path` holds; raises DataFileError with all of the file's mistakes."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise DataFileError(path, [str(error)]) from error
    if problems := list(_problems(data)):
        raise DataFileError(path, problems)
    sets: dict[tuple[str, str], list[str]] = {}
    for name in data["sets"]:
        for pair in _pairs(data, name):
            sets.setdefault(pair, []).append(name)
    return tuple(_environment(data, *pair, sets=tuple(names)) for pair, names in sets.items())


def _environment(data: Mapping[str, Any], transformers: str, deepspeed: str, sets: tuple[str, ...] = ()) -> Environment:
    lines = (data["transformers"].get(transformers, {}), data["deepspeed"].get(deepspeed, {}))
    return Environment(
        transformers=transformers,
        deepspeed=deepspeed,
        torch=data["torch"],
        python=",".join(line["python"] for line in lines if "python" in line),
        needs=(*data["optional"], *(need for line in lines for need in line.get("needs", ()))),
        sets=sets,
    )


def of_set(name: str, known: Iterable[Environment]) -> tuple[Environment, ...]:
    """The environments of `known` that are in the set `name`, in their order; raises UnknownNameError where none is."""
    every = tuple(known)
    if chosen := tuple(environment for environment in every if name in environment.sets):
        return chosen
    raise UnknownNameError("set of environments", [name], sorted({one for e in every for one in e.sets}))


def chosen_by_name(variables: Mapping[str, str], known: tuple[Environment, ...]) -> Environment | None:
    """The environment that ZERO3_TRANSFORMERS and the variables of other packages name, None when none is set.

    What is not set stays as in the newest pair, the first of the default set. Raises PinError.
    """
    pins = {name: pin for name in INSTALLABLE if (pin := variables.get(PACKAGES[name].variable, ""))}
    for name, pin in pins.items():
        if not (is_version(pin) or "://" in pin or Path(pin).expanduser().is_dir()):
            raise PinError(PACKAGES[name].variable, pin)
    return replace(pinned(pins, known), sets=("named",)) if pins else None


def pinned(pins: Mapping[str, str], known: tuple[Environment, ...]) -> Environment:
    """The newest pair, the first of `known`, with `pins` by package in the place of its own."""
    data = tomllib.loads(ENVIRONMENTS.read_text(encoding="utf-8"))
    transformers, deepspeed = ({**known[0].pins, **pins}[package] for package in CROSSED)
    return with_pins(_environment(data, transformers, deepspeed), pins)


def with_pins(environment: Environment, pins: Mapping[str, str]) -> Environment:
    """`environment` with `pins` by package in the place of its own."""
    own: dict[str, Any] = {name: pins[name] for name in RECORDED if name in pins}
    needs = (_need(name, pins[name]) for name in OPTIONAL if name in pins)
    return replace(environment, needs=(*environment.needs, *needs), **own)


def name_of(pins: Mapping[str, str]) -> str:
    """The id, without a device, of an environment with these pins."""
    return "+".join(f"{name}-{label(pin)}" for name, pin in pins.items())


def labels_of(environment_id: str) -> dict[str, str]:
    """The label of each package in an id without its device, by package; empty where it is no such id."""
    found = {name: part.removeprefix(f"{name}-") for part in environment_id.split("+") if (name := _named_by(part))}
    labels = {name: found[name] for name in INSTALLABLE if found.get(name)}
    same = environment_id == "+".join(f"{name}-{found}" for name, found in labels.items())
    return labels if same and labels.keys() >= {*REQUIRED} else {}


def _named_by(part: str) -> str:
    """The package that a part of an id is about: of two whose names begin alike, the longer."""
    return max((name for name in INSTALLABLE if part.startswith(f"{name}-")), key=len, default="")


def from_id(environment_id: str, known: tuple[Environment, ...]) -> Environment:
    """The environment of that id: one of `known`, or pins read from the id itself; raises UnknownNameError."""
    bare = re.sub(r"\+(cpu|cuda)$", "", environment_id)
    for environment in known:
        if environment.id == bare:
            return environment
    pins = {name: found.replace("_", "+") for name, found in labels_of(bare).items()}
    if not pins or not all(map(is_version, pins.values())):
        raise UnknownNameError("environment", [environment_id], [environment.id for environment in known])
    return pinned(pins, known)


def planned_info(name: str, versions: Mapping[str, str], device: Device, world_size: int) -> EnvironmentInfo:
    """Returns what is known of an environment before it is measured.

    `name` is its id without the device, `versions` its pins or what its interpreter has, by package, and of python.
    """
    recorded: dict[str, Any] = {package: versions.get(package, "") for package in RECORDED}
    return EnvironmentInfo(
        id=f"{name}+{device}",
        python=versions.get("python", ""),
        **recorded,
        device=device,
        backend=device.backend,
        world_size=world_size,
        hardware="",
        packages={package: versions[package] for package in OPTIONAL if package in versions},
    )

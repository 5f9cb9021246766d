"""Loads the environments that the matrix crosses from `environments.toml`, and finds those that a user names.

Standard library only: the noxfile imports this, in nox's own interpreter, where nothing of the project is installed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Final

import tomllib

from matrix.checks import Axes
from matrix.environments.packages import CROSSED, INSTALLABLE, PACKAGES
from matrix.environments.pins import is_version, parse_id
from matrix.environments.spec import Environment, replace_pins
from matrix.errors import DataFileError, PinError, UnknownNameError
from matrix.model import Configuration, Precision

ENVIRONMENTS: Final = Path(__file__).parents[1] / "environments.toml"


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
        yield from (f"no {name}, or it has the wrong type" for name in missing)
        return
    for package in CROSSED:
        for version, line in data[package].items():
            if not is_version(version):
                yield f"[{package}] {version!r} is not a version"
            if not (isinstance(line, dict) and line.get("why")):
                yield f"[{package}] {version!r} has no `why`"
    named = [(f"sets.{name}", pair) for name, chosen in data["sets"].items() for pair in chosen.get("pairs", [])]
    for where, pair in [*named, *(("exclusions", pair) for pair in data["exclusions"])]:
        transformers, _, deepspeed = pair.partition("+")
        if transformers not in data["transformers"] or deepspeed not in data["deepspeed"]:
            yield f"[{where}] names {pair!r}, which is not a transformers+deepspeed pair of this file"
    yield from _precision_problems(data["sets"])
    for pair, reason in data["exclusions"].items():
        if not isinstance(reason, str) or not reason:
            yield f"[exclusions] {pair!r} has no reason"


def _precision_problems(sets: Mapping[str, Any]) -> Iterator[str]:
    for name, chosen in sets.items():
        asked = [*chosen.get("precisions", []), *chosen.get("mixed_dtypes", [])]
        yield from (f"[sets.{name}] {one!r} is not a precision" for one in asked if one not in [*Precision])
        if not chosen.get("precisions"):
            yield f"[sets.{name}] has no precisions"


def load_environments(path: Path = ENVIRONMENTS) -> tuple[Environment, ...]:
    """Returns every environment that is in a set of `path`; raises DataFileError with all of the file's mistakes."""
    data = _read(path)
    sets: dict[tuple[str, str], list[str]] = {}
    for name in data["sets"]:
        for pair in _pairs(data, name):
            sets.setdefault(pair, []).append(name)
    return tuple(_environment(data, *pair, sets=tuple(names)) for pair, names in sets.items())


def load_axes(name: str, path: Path = ENVIRONMENTS) -> Axes:
    """Returns how the environments of a set are measured; raises DataFileError, and UnknownNameError for no set."""
    sets = _read(path)["sets"]
    if name not in sets:
        raise UnknownNameError("set of environments", [name], sorted(sets))
    precisions, mixed = (
        tuple(Precision(one) for one in sets[name].get(key, [])) for key in ("precisions", "mixed_dtypes")
    )
    axes = Axes(precisions=precisions)
    return replace(axes, configurations=tuple(Configuration), mixed=mixed) if mixed else axes


def _read(path: Path) -> Mapping[str, Any]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise DataFileError(path, [str(error)]) from error
    if problems := list(_problems(data)):
        raise DataFileError(path, problems)
    return data


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


def select_set(name: str, known: Iterable[Environment]) -> tuple[Environment, ...]:
    """Returns the environments of `known` that are in the set `name`, in their order; raises UnknownNameError for none."""
    every = tuple(known)
    if chosen := tuple(environment for environment in every if name in environment.sets):
        return chosen
    raise UnknownNameError("set of environments", [name], sorted({one for e in every for one in e.sets}))


def read_named_environment(variables: Mapping[str, str], known: tuple[Environment, ...]) -> Environment | None:
    """Returns the environment that ZERO3_TRANSFORMERS and the variables of other packages name; None when none is set.

    Packages without one are pinned as in the newest pair, the first of `known`. Raises PinError.
    """
    pins = {name: pin for name in INSTALLABLE if (pin := variables.get(PACKAGES[name].variable, ""))}
    for name, pin in pins.items():
        if not (is_version(pin) or "://" in pin or Path(pin).expanduser().is_dir()):
            raise PinError(PACKAGES[name].variable, pin)
    return replace(pin_newest(pins, known), sets=("named",)) if pins else None


def pin_newest(pins: Mapping[str, str], known: tuple[Environment, ...]) -> Environment:
    """Returns the newest pair, the first of `known`, with `pins`, which are by package, instead of its own."""
    data = tomllib.loads(ENVIRONMENTS.read_text(encoding="utf-8"))
    transformers, deepspeed = ({**known[0].pins, **pins}[package] for package in CROSSED)
    return replace_pins(_environment(data, transformers, deepspeed), pins)


def find_environment(environment_id: str, known: tuple[Environment, ...]) -> Environment:
    """Returns the environment of an id: one of `known`, or the pins that the id says; raises UnknownNameError."""
    bare = re.sub(r"\+(cpu|cuda)$", "", environment_id)
    for environment in known:
        if environment.id == bare:
            return environment
    pins = {name: found.replace("_", "+") for name, found in parse_id(bare).items()}
    if not pins or not all(map(is_version, pins.values())):
        raise UnknownNameError("environment", [environment_id], [environment.id for environment in known])
    return pin_newest(pins, known)

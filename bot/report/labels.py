"""PURE. Names environments in reports, and formats the command that reproduces a case."""

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from bot.text import Code, clip
from matrix.environments.packages import CROSSED, PACKAGES, TIPS, UNCROSSED, installed
from matrix.model import Case, Cell, Configuration, EnvironmentInfo, Variant

DEFAULT_WORLD_SIZE = 2
_SHA = "[0-9a-f]{40}"


def label_cells(cells: Sequence[Cell]) -> list[Code]:
    """Returns a short, distinct name for each cell: versions, device, and whatever else differs between them."""
    varying = [part for part in (*UNCROSSED, "python", "world_size") if _varies(cells, part)]
    names = [_label(cell.environment, varying) for cell in cells]
    seen = Counter(names)
    full = [
        name if seen[name] == 1 else f"{name} ({cell.environment.id})" for name, cell in zip(names, cells, strict=True)
    ]
    return [clip(name) for name in full]


def format_command(info: EnvironmentInfo, case: Case) -> Code:
    """Formats the command line that reproduces one case; for a branch it names the commit that was measured."""
    size = "" if info.world_size == DEFAULT_WORLD_SIZE else f" --world-size {info.world_size}"
    what = f"--architecture {_quoted(case.architecture)} {format_options(case.key.variant)}"
    return Code(f"{_begin(info)} {what} --again{size}")


def format_options(variant: Variant) -> str:
    """Formats the options of the command line that choose how a case is measured."""
    mixed = "" if variant.configuration is Configuration.PLAIN else f" --configuration {variant.configuration}"
    return f"--loader {variant.loader} --check {variant.check} --precision {variant.precision}{mixed}"


@lru_cache(1024)  # most environments have it
def _quoted(architecture: str) -> str:
    plain = re.fullmatch(r"[\w.:/-]+", architecture)
    return f"'{architecture}'" if plain else shlex.quote(architecture)


@lru_cache  # an environment has hundreds of cases
def _begin(info: EnvironmentInfo) -> str:
    """Returns how the command begins, the same for all cases of an environment."""
    if pins := _tips(info):
        return f"{' '.join(pins)} nox -s zero3_matrix --"
    environment = shlex.quote(info.id.removesuffix(f"+{info.device}"))
    return f"zero3 run --environment {environment} --device {info.device}"


def _tips(info: EnvironmentInfo) -> list[str]:
    """Returns the variables that pin what was measured where a package came from the tip of its branch, else nothing."""
    at_tip = [package for package in TIPS if f"{package}-main+" in info.id]
    found = {package: installed(info, package) for package in dict.fromkeys((*CROSSED, *at_tip))}
    commits = {package: PACKAGES[package].at(sha) for package, sha in found.items() if re.fullmatch(_SHA, sha)}
    if not commits.keys() & {*at_tip}:
        return []
    return [f"{PACKAGES[name].variable}={shlex.quote(pin)}" for name, pin in {**found, **commits}.items()]


def _varies(cells: Sequence[Cell], part: str) -> bool:
    return len({getattr(cell.environment, part) for cell in cells if cell.error is None}) > 1


def _label(info: EnvironmentInfo, varying: Sequence[str]) -> str:
    if not (info.transformers and info.deepspeed):
        return info.id
    parts = [f"transformers {info.transformers}", f"deepspeed {info.deepspeed}"]
    parts += [f"{part.replace('_', ' ')} {getattr(info, part)}" for part in varying]
    return f"{' + '.join(parts)} on {info.device}"

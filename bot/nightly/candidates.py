"""Lists what a nightly run may measure: the nightly set, new releases, and the tips of upstream's branches.

PURE: no input or output.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import product
from typing import Final

from packaging.version import Version

from matrix.environments.choose import select_set
from matrix.environments.packages import CROSSED, PACKAGES, TIPS
from matrix.environments.pins import label_pin
from matrix.environments.spec import Environment, replace_pins
from matrix.errors import UnknownNameError

SET: Final = "nightly"
NEW_VERSIONS: Final = 3
"""How many releases of each package a nightly run takes that are newer than those of environments.toml."""

AT_TIP: Final = (*((package,) for package in TIPS), *([CROSSED] if {*CROSSED} <= {*TIPS} else []))
"""Packages that are measured at the tip of their branches together, with the newest releases of the others."""


@dataclass(frozen=True)
class News:
    """What is new upstream.

    `releases` has the versions of each package, the oldest first. `tips` has the newest commit of each branch. `problems` says
    which questions got no answer.
    """

    releases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    tips: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def list_candidates(known: Sequence[Environment], name: str, news: News) -> tuple[Environment, ...]:
    """Returns the environments of the set `name`, and for the nightly set what is new as well.

    The first of `known` is the newest pair. Raises UnknownNameError.
    """
    chosen = select_set(name, known)
    if name != SET:
        return chosen
    pairs = product(*(_released(package, known, news) for package in CROSSED))
    released = [replace(known[0], transformers=t, deepspeed=d, sets=()) for t, d in pairs]
    every = {environment.id: environment for environment in (*_tips(released[-1], news.tips), *released)}
    return tuple({**every, **{environment.id: environment for environment in chosen}}.values())


def _released(package: str, known: Sequence[Environment], news: News) -> list[str]:
    """Returns the newest version of environments.toml, and newer ones of the package index."""
    newest = max((str(vars(environment)[package]) for environment in known), key=Version)
    newer = [version for version in news.releases.get(package, ()) if Version(version) > Version(newest)]
    return [newest, *newer[-NEW_VERSIONS:]]


def _tips(newest: Environment, tips: Mapping[str, str]) -> Iterator[Environment]:
    for packages in AT_TIP:
        if all(package in tips for package in packages):
            yield _at_tips(newest, {package: tips[package] for package in packages})


def _at_tips(newest: Environment, commits: Mapping[str, str]) -> Environment:
    """Returns the newest releases with `commits` pinned. The name leaves the commits out, so all its runs are one history."""
    tips = replace_pins(newest, {package: PACKAGES[package].at(commit) for package, commit in commits.items()})
    name = "+".join(f"{name}-{'main' if name in commits else label_pin(pin)}" for name, pin in tips.pins.items())
    return replace(tips, name=name)


def filter_environments(environments: Sequence[Environment], globs: Sequence[str]) -> tuple[Environment, ...]:
    """Returns the environments whose id matches one of `globs`; all of them without globs.

    Raises UnknownNameError for globs that match nothing.
    """
    names = [environment.id for environment in environments]
    if unmatched := [glob for glob in globs if not any(fnmatchcase(name, glob) for name in names)]:
        raise UnknownNameError("environment", unmatched, names)
    return tuple(e for e in environments if not globs or any(fnmatchcase(e.id, glob) for glob in globs))

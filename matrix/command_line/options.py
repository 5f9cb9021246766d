"""The options that several commands have, and how their values are checked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from matrix.errors import NotACheckoutError, UnknownNameError
from matrix.model import Device
from matrix.process.run import ROOT

DEVICES = ("auto", *map(str, Device))
Architectures = Annotated[
    list[str] | None,
    typer.Option(
        "--architecture", help="Only architectures whose id, model type or class matches this glob. May be repeated."
    ),
]


def require_choice(what: str, value: str, known: Sequence[str]) -> None:
    """Raises UnknownNameError where `value` is not one of the `known`."""
    if value not in known:
        raise UnknownNameError(what, [value], known)


def is_checkout() -> bool:
    """Returns whether this project runs from a checkout; it is installed otherwise."""
    return (ROOT / "noxfile.py").is_file()


def require_checkout(part: Path, instead: str) -> Path:
    """Returns `part`, a path of this project that is to be written; raises NotACheckoutError where that is installed."""
    if not is_checkout():
        raise NotACheckoutError(part.relative_to(ROOT).as_posix(), instead)
    return part

"""PURE. The file of a published site that `python -m matrix advise` reads: `api/v1/advice.json`."""

from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Final, Literal

from pydantic import Field

from matrix.model import Device
from matrix.verdicts import Verdict

PATH: Final = "api/v1/advice.json"
"""Where it is, from the root of the site."""

_Text = Annotated[str, Field(max_length=300)]


@dataclass(frozen=True)
class AdviceEnvironment:
    """An environment, as last `measured` on that date. `flaky` is how many percent of all its cases are flaky, rounded down."""

    id: _Text
    transformers: _Text
    deepspeed: _Text
    torch: _Text
    accelerate: _Text
    device: Device
    measured: date
    stale: bool
    flaky: int


@dataclass(frozen=True)
class AdviceFile:
    """Every verdict, by architecture, environment and case (`stock-load`). `newest` is the date of the newest nightly run, null before the first one.

    `known` names the entries of known.toml that explain what the stock loader did wrong, by architecture and environment.
    """

    schema: Literal[1]
    newest: date | None
    environments: tuple[AdviceEnvironment, ...]
    verdicts: dict[_Text, dict[_Text, dict[_Text, Verdict]]]
    known: dict[_Text, dict[_Text, tuple[_Text, ...]]] = field(default_factory=dict)

"""What a comparison measures: base and head of one package, and the references beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from matrix.compare import Role
from matrix.model import Check, Loader


@dataclass(frozen=True)
class Side:
    """What one run of a comparison installs: `pins` by package (transformers, deepspeed, accelerate, safetensors).

    A pin is a version, a `git+https://...@<40 hexadecimal digits>` address or a source folder.
    """

    role: Role
    pins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Duel:
    """What one machine measures of a comparison; `name` is the job's and, behind `zero3-`, its artifact's name.

    With the sides base and head it measures both, reruns on both what differs, and tries what still looks regressed
    with the `other` sides. A duel with one side is a reference. `architectures` are catalog ids.
    """

    name: str
    sides: tuple[Side, ...]
    architectures: tuple[str, ...]
    loaders: tuple[Loader, ...] = (Loader.STOCK,)
    checks: tuple[Check, ...] = (Check.LOAD, Check.SAVE)


@dataclass(frozen=True)
class ComparisonPlan:
    """Everything a comparison measures, for one pull request at one commit."""

    repository: str
    number: int
    base_sha: str
    head_sha: str
    duels: tuple[Duel, ...]

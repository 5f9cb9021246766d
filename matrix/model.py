"""The data types of the project: what is measured, and what was found.

Imported by the host and, inside the measured interpreter, by the probe: standard library only, Python 3.10 or newer.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Final, NamedTuple

from matrix.verdicts import Verdict

if sys.version_info >= (3, 11):
    from enum import StrEnum
else:
    from enum import Enum

    class StrEnum(str, Enum):
        """What `enum.StrEnum` is from Python 3.11 on."""

        __str__ = str.__str__


SHOWN_VALUES = 4
"""How many wrong elements a finding quotes."""

Scalar = bool | int | float | str
"""A tensor element as JSON holds it: NaN, infinities and complex numbers are strings."""

_FINITE: Final = {"allow_inf_nan": False}
"""Tells pydantic, which the probe does not have: `NaN` is no JSON, and `1e999` no number that a record can hold."""


class Kind(StrEnum):
    """How a tensor is wrong, told from evidence; the first that fits."""

    ABSENT = "absent"
    META = "meta"
    SHAPE = "shape"
    DTYPE = "dtype"
    OTHER_TENSOR = "other_tensor"
    INIT_VALUE = "init_value"
    ZEROS = "zeros"
    NONFINITE = "nonfinite"
    PARTIAL = "partial"
    GARBAGE = "garbage"


class What(StrEnum):
    """What a tensor is to its module. Only a non-persistent buffer is in no checkpoint."""

    PARAMETER = "parameter"
    BUFFER = "buffer"
    NONPERSISTENT = "nonpersistent"


class Loader(StrEnum):
    """`stock` is what the measured transformers ships, `fixed` our backport of its fix."""

    STOCK = "stock"
    FIXED = "fixed"


class Check(StrEnum):
    """What is done with the model: plain save and ZeRO-3 load, or ZeRO-3 save and plain load."""

    LOAD = "load"
    SAVE = "save"


class Device(StrEnum):
    """Where the ranks run: `cpu` speaks gloo, `cuda` NCCL."""

    CPU = "cpu"
    CUDA = "cuda"

    @property
    def backend(self) -> str:
        """The name that torch.distributed knows the backend by."""
        return "gloo" if self is Device.CPU else "nccl"


@dataclass(frozen=True)
class Source:
    """Where a model outside of the catalog comes from.

    `config` holds the values of its configuration file; without one, `name` is `module:ClassName`, looked for in `paths`
    too, a model type, or `model_type:ClassName`. Code in `folder` is run only where one is given. `label` tells models
    of one class apart. With `full` it keeps its sizes.
    `tiny` holds the values that the probe settles on in the place of `config`.
    """

    name: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    folder: str = ""
    paths: tuple[str, ...] = ()
    label: str = ""
    full: bool = False
    tiny: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> "Source | None":
        """The source that `dataclasses.asdict` and JSON gave as `values`; None for none."""
        return cls(**{**values, "paths": tuple(values["paths"])}) if values else None


@dataclass(frozen=True)
class Architecture:
    """One model class and what differs from the derived tiny recipe: a catalog entry, or a user's, which has a `source`.

    `config` is merged into the shrunken default configuration, nested tables into nested configurations.
    """

    id: str
    family: str
    config: Mapping[str, Any] = field(default_factory=dict)
    source: Source | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Architecture":
        """The architecture that `dataclasses.asdict` and JSON gave as `values`."""
        return cls(**{**values, "source": Source.from_dict(values.get("source"))})

    @property
    def model_type(self) -> str:
        """The `model_type` of its configuration."""
        return self.id.partition(":")[0]

    @property
    def class_name(self) -> str:
        """The name of its class in the transformers namespace."""
        return self.id.partition(":")[2]


@dataclass(frozen=True)
class Finding:
    """One tensor that is wrong in one way, on `ranks`.

    `site` is the module class and the name inside it. `expected` and `actual` quote the first wrong elements as the
    lowest wrong rank holds them; `elements` counts wrong ones of all. `detail` says what values cannot: two shapes,
    two dtypes, or whose sentinel this is.
    """

    __pydantic_config__: ClassVar[dict[str, bool]] = _FINITE

    tensor: str
    what: What
    site: str
    kind: Kind
    ranks: tuple[int, ...]
    reported_missing: bool
    expected: tuple[Scalar, ...] = ()
    actual: tuple[Scalar, ...] = ()
    elements: tuple[int, int] = (0, 0)
    detail: str = ""


@dataclass(frozen=True)
class Failure:
    """Why nothing, or not all, could be measured: an exception with its deepest upstream frame."""

    type: str
    message: str
    frame: str = ""
    ranks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Tensors:
    """How many tensors of each sort a case compared."""

    buffers: int = 0
    parameters: int = 0
    nonpersistent: int = 0


class CaseKey(NamedTuple):
    """What names a case inside its cell."""

    architecture: str
    loader: Loader
    check: Check

    def __str__(self) -> str:
        return f"{self.architecture} {self.loader} {self.check}"


KINDS: Final = tuple((loader, check) for loader in Loader for check in Check)
"""The cases of an architecture in an environment, in the order in which they are told."""


@lru_cache(10_000)  # few architectures, asked for in each environment
def keys_of(architecture: str) -> tuple[CaseKey, ...]:
    """All that may be measured of an architecture."""
    return tuple(CaseKey(architecture, loader, check) for loader, check in KINDS)


DIED: Final = ("RankKilled", "RankDied", "Hang")
"""The types of failures that no rank raised: how it ended, which memory and time have a part in."""


@dataclass(frozen=True)
class Case:
    """The verdict of one case and its evidence.

    `confirmed` is (k, n): k of n runs gave this verdict. `seconds` is the wall time of the case, `load_seconds` the
    part of it inside `from_pretrained` and `save_pretrained`, both of the slowest rank.
    """

    __pydantic_config__: ClassVar[dict[str, bool]] = _FINITE

    architecture: str
    loader: Loader
    check: Check
    verdict: Verdict
    tensors: Tensors = Tensors()
    findings: tuple[Finding, ...] = ()
    error: Failure | None = None
    confirmed: tuple[int, int] = (1, 1)
    seconds: float = 0.0
    load_seconds: float = 0.0

    @cached_property
    def key(self) -> CaseKey:
        """What names this case inside its cell."""
        return CaseKey(self.architecture, self.loader, self.check)

    def believed(self, confirmations: int) -> bool:
        """Whether it need not be measured again: green, decided without ranks, or red in enough reruns.

        One is enough where runs disagree, which is flaky however many follow, and for an exception that repeats itself;
        wrong values, hangs and ranks that died have to come up in as many as `confirmations`.
        """
        raised = self.verdict is Verdict.CRASH and not (self.error and self.error.type in DIED)
        sure = raised or self.verdict is Verdict.FLAKY
        return self.verdict.settled or self.confirmed[1] > (min(1, confirmations) if sure else confirmations)


@dataclass(frozen=True)
class EnvironmentInfo:
    """What a cell really ran on, as the measured interpreter told."""

    id: str
    python: str
    torch: str
    transformers: str
    deepspeed: str
    accelerate: str
    device: Device
    backend: str
    world_size: int
    hardware: str
    packages: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Timing:
    """Where a cell's time went, in seconds of wall time; `load` is inside from_pretrained and save_pretrained.

    `rss_mb` is the most memory that a rank ever held, in MiB.
    """

    __pydantic_config__: ClassVar[dict[str, bool]] = _FINITE

    seconds: float = 0.0
    import_seconds: float = 0.0
    load_seconds: float = 0.0
    rss_mb: float = 0.0

    def __add__(self, later: "Timing") -> "Timing":
        """The times of a cell that was measured in two parts."""
        return Timing(
            self.seconds + later.seconds,
            self.import_seconds + later.import_seconds,
            self.load_seconds + later.load_seconds,
            max(self.rss_mb, later.rss_mb),
        )


@dataclass(frozen=True)
class Cell:
    """All cases of one environment.

    `planned` counts the cases that were asked for; `complete` is False when the file has no `end` record: the cell
    was cut short, and what is not in `cases` is untested. `error` says why the environment could not be measured.
    """

    environment: EnvironmentInfo
    catalog: str
    probe: str
    started: str
    planned: int
    cases: tuple[Case, ...] = ()
    complete: bool = False
    timing: Timing = Timing()
    error: Failure | None = None


@dataclass(frozen=True)
class Run:
    """A set of cells, immutable once written."""

    cells: tuple[Cell, ...]

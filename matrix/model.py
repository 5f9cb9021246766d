"""The data types of the project: what is measured, and what was found.

Imported by the host and, inside the measured interpreter, by the probe: standard library only, Python 3.10 or newer.
"""

import pkgutil
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

from matrix.verdicts import Verdict

if sys.version_info >= (3, 11):
    from enum import StrEnum
else:
    from enum import Enum

    class StrEnum(str, Enum):
        """The same as `enum.StrEnum`, which Python 3.10 does not have."""

        __str__ = str.__str__


SHOWN_VALUES = 4
"""How many wrong elements a finding quotes."""
SHOWN_NAMES = 20
"""How many names a difference between loading reports quotes."""
MOST_DIFFERENCES = 8
"""How many differences between loading reports a case has at most: a record has to stay small."""

Scalar = bool | int | float | str
"""A tensor element as JSON holds it: NaN, infinities and complex numbers are strings."""

_FINITE: Final = {"allow_inf_nan": False}
"""Makes pydantic, which the probe does not have, reject `NaN` and `1e999`: JSON has no such numbers."""


class Kind(StrEnum):
    """How a tensor is wrong, as the evidence shows; the first kind that fits."""

    ABSENT = "absent"
    META = "meta"
    SHAPE = "shape"
    DTYPE = "dtype"
    ROUNDED = "rounded"
    UNTIED = "untied"
    UNLIKE = "unlike"
    OTHER_TENSOR = "other_tensor"
    INIT_VALUE = "init_value"
    ZEROS = "zeros"
    NONFINITE = "nonfinite"
    PARTIAL = "partial"
    GARBAGE = "garbage"


class What(StrEnum):
    """What a tensor is to its module. Non-persistent buffers and outputs are in no checkpoint."""

    PARAMETER = "parameter"
    BUFFER = "buffer"
    NONPERSISTENT = "nonpersistent"
    OUTPUT = "output"


class Loader(StrEnum):
    """`stock` is what the measured transformers ships, `fixed` our backport of its fix, and more.

    In bf16 and fp16 `fixed` also keeps what a plain load keeps in float32, with every release. No upstream release has that.
    """

    STOCK = "stock"
    FIXED = "fixed"


class Precision(StrEnum):
    """The dtype that a model is trained in, and that `from_pretrained` is asked for."""

    FLOAT32 = "float32"
    BF16 = "bf16"
    FP16 = "fp16"

    @property
    def dtype(self) -> str:
        """Its name in torch."""
        return {Precision.BF16: "bfloat16", Precision.FP16: "float16"}.get(self, self.value)


class Configuration(StrEnum):
    """What the DeepSpeed config, or the call of `from_pretrained`, has besides what every case has."""

    PLAIN = "plain"
    """Nothing: trained in the dtype that was asked for."""
    MIXED_DTYPES = "mixed_dtypes"
    """`from_pretrained` is asked for float32, whatever the DeepSpeed config trains in."""

    def requested(self, precision: Precision) -> Precision:
        """Returns the dtype that `from_pretrained` is asked for where DeepSpeed trains in `precision`."""
        return Precision.FLOAT32 if self is Configuration.MIXED_DTYPES else precision


class Check(str):
    """What is done with the model: the name of a file of `matrix/checks`, whose description `matrix.checks` has.

    There is one object of each name. Raises ValueError for every other name, as an enumeration does.
    """

    __slots__ = ()

    def __new__(cls, name: str) -> "Check":  # noqa: PYI034  # Python 3.10 has no Self
        """Returns the check called `name`."""
        if name not in _CHECKS:
            raise ValueError(f"{name!r} is not a valid check")
        return _CHECKS[name]

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> dict[str, Any]:
        """Returns the schema as data, because the probe has no pydantic."""
        text = {"type": "str", "strict": True}
        return {
            "type": "function-after",
            "function": {"type": "no-info", "function": cls},
            "schema": text,
            "ref": "Check",
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: Any, _handler: Any) -> dict[str, Any]:
        """Returns what `docs/records.schema.json` says of it."""
        return {
            "description": (cls.__doc__ or "").partition("\n")[0],
            "enum": list(_CHECKS),
            "title": "Check",
            "type": "string",
        }


_CHECKS: Final = {
    file.name: str.__new__(Check, file.name) for file in pkgutil.iter_modules([str(Path(__file__).with_name("checks"))])
}
"""Read from the folder, so that a new file is all that a new check needs. `matrix.checks` has them in their order."""


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
    """A model that is not in the catalog, and where it comes from."""

    name: str = ""
    """`module:ClassName`, a model type, or `model_type:ClassName`. With a `config`, the class that takes it; else empty."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The values of its config.json."""
    folder: str = ""
    """The folder of its own code, set only where that code may run."""
    paths: tuple[str, ...] = ()
    """Further folders in which the module of `name` is looked for."""
    label: str = ""
    """Distinguishes several models of one class."""
    full: bool = False
    """Whether the model keeps its sizes instead of being made tiny."""
    tiny: Mapping[str, Any] = field(default_factory=dict)
    """The values that the probe chose in place of `config`."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> "Source | None":
        """Returns the source that `dataclasses.asdict` and JSON made into `values`; None for None."""
        return cls(**{**values, "paths": tuple(values["paths"])}) if values else None


ARCHITECTURE_ID: Final = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*:[A-Z][A-Za-z0-9_]*")
"""The form of an id of the catalog: `model_type:ClassName`."""


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
        """Returns the architecture that `dataclasses.asdict` and JSON made into `values`."""
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
    """One tensor that is wrong in one way, on one or several ranks."""

    __pydantic_config__: ClassVar[dict[str, bool]] = _FINITE

    tensor: str
    """Its name in the state dict."""
    what: What
    site: str
    """The module class and the name inside it, such as `Router.bias`."""
    kind: Kind
    ranks: tuple[int, ...]
    reported_missing: bool
    """Whether the loader named the tensor as missing."""
    expected: tuple[Scalar, ...] = ()
    """The right values of the first wrong elements."""
    actual: tuple[Scalar, ...] = ()
    """What the lowest wrong rank has in their place."""
    elements: tuple[int, int] = (0, 0)
    """The number of wrong elements, and of all."""
    detail: str = ""
    """What values cannot say: two shapes, two dtypes, or the tensor whose value this is."""
    at_stage_0: bool | None = None
    """Whether a plain load and `deepspeed.initialize` at stage 0 give it too, so that DeepSpeed does it at any stage; None where
    that was not tried."""


@dataclass(frozen=True)
class Failure:
    """Why nothing, or not all, could be measured: an exception, or how a rank ended."""

    type: str
    """The class of the exception, or what happened to a process, such as one of DIED."""
    message: str
    frame: str = ""
    """The deepest frame of an upstream package, as `file.py:line in function`."""
    ranks: tuple[int, ...] = ()
    """The ranks that it happened on; empty where it did not happen on a rank."""


@dataclass(frozen=True)
class Tensors:
    """How many tensors of each sort a case compared."""

    buffers: int = 0
    parameters: int = 0
    nonpersistent: int = 0
    """Buffers that are not in the checkpoint."""


@dataclass(frozen=True)
class Note:
    """Something that a user should know about a case, and that fails nothing."""

    about: str
    """The name of a tensor, or a call."""
    text: str
    ranks: tuple[int, ...] = ()
    """The ranks that saw it."""


class ReportPart(StrEnum):
    """A part of the loading report, by its name in `output_loading_info`."""

    MISSING = "missing_keys"
    UNEXPECTED = "unexpected_keys"
    MISMATCHED = "mismatched_keys"
    ERRORS = "error_msgs"


@dataclass(frozen=True)
class ReportDifference:
    """A part of the loading report that a load under ZeRO-3 gives otherwise than a plain load."""

    part: ReportPart
    added: tuple[str, ...]
    """What only the load under ZeRO-3 names, at most SHOWN_NAMES."""
    left_out: tuple[str, ...]
    """What only the plain load names, at most SHOWN_NAMES."""
    counts: tuple[int, int]
    """How many there are of `added`, and of `left_out`."""
    ranks: tuple[int, ...]


class ReportLimit(StrEnum):
    """Why a release does not tell the truth in a part of the loading report under ZeRO-3, whatever it loads."""

    ALWAYS_EMPTY = "always_empty"
    OF_PLACEHOLDERS = "of_placeholders"
    """It compares the shapes of placeholders, which differ from all that the checkpoint has."""
    ON_RANK_0_ONLY = "on_rank_0_only"


class Variant(NamedTuple):
    """How a case of an architecture is measured."""

    loader: Loader
    check: Check
    precision: Precision = Precision.FLOAT32
    configuration: Configuration = Configuration.PLAIN

    def __str__(self) -> str:
        return f"{self.loader} {self.what}"

    @property
    def what(self) -> str:
        """The check, and what it is done in."""
        return f"{self.check} {self.trained_in}"

    @property
    def trained_in(self) -> str:
        """The precision, and the configuration unless it is plain: `bf16`, `bf16 mixed_dtypes`."""
        return str(self.precision) if self.configuration is Configuration.PLAIN else " ".join(self.training)

    @property
    def training(self) -> tuple[Precision, Configuration]:
        """What the model is trained in."""
        return self.precision, self.configuration

    @property
    def slug(self) -> str:
        """Its name in addresses. float32 and plain are not in it: addresses are older than the other precisions."""
        special = [part for part in (self.precision, self.configuration) if part not in ("float32", "plain")]
        return "-".join([self.loader, self.check, *special])


class CaseKey(NamedTuple):
    """The key of a case inside its cell."""

    architecture: str
    loader: Loader
    check: Check
    precision: Precision = Precision.FLOAT32
    configuration: Configuration = Configuration.PLAIN

    def __str__(self) -> str:
        return f"{self.architecture} {self.variant}"

    @property
    def variant(self) -> Variant:
        """How it is measured."""
        return Variant(*self[1:])


DIED: Final = ("RankKilled", "RankDied", "Hang")
"""The types of failures that no rank raised: it was killed, died, or ran out of time, which a rerun may not repeat."""


@dataclass(frozen=True)
class Case:
    """The verdict of one case and its evidence."""

    __pydantic_config__: ClassVar[dict[str, bool]] = _FINITE

    architecture: str
    loader: Loader
    check: Check
    verdict: Verdict
    precision: Precision = Precision.FLOAT32
    """What DeepSpeed trains in."""
    configuration: Configuration = Configuration.PLAIN
    tensors: Tensors = Tensors()
    findings: tuple[Finding, ...] = ()
    error: Failure | None = None
    notes: tuple[Note, ...] = ()
    report: tuple[ReportDifference, ...] = ()
    """Where the loading report differs from a plain load's, beyond what the environment's `report_limits` say."""
    confirmed: tuple[int, int] = (1, 1)
    """(k, n): k of n runs gave this verdict."""
    seconds: float = 0.0
    """Wall time, of the slowest rank."""
    load_seconds: float = 0.0
    """The part of `seconds` inside `from_pretrained` and `save_pretrained`."""
    measured_with: Loader | None = None
    """The loader that this was measured with, where it is the same code as `loader`; None where that was `loader` itself."""

    @cached_property
    def key(self) -> CaseKey:
        """The key that identifies this case inside its cell."""
        return CaseKey(self.architecture, self.loader, self.check, self.precision, self.configuration)

    @property
    def trained_dtype(self) -> str:
        """The dtype that the DeepSpeed config trains in, as torch calls it."""
        return self.precision.dtype

    @property
    def requested_dtype(self) -> str:
        """The dtype that `from_pretrained` was asked for, as torch calls it."""
        return self.configuration.requested(self.precision).dtype

    @property
    def may_be_mended(self) -> bool:
        """Whether it ended with wrong values, or a wrong report of them: what another loader may do better."""
        return self.verdict.wrong_values and self.error is None

    def believed(self, confirmations: int) -> bool:
        """Returns whether it is measured enough: it passes, was decided without ranks, or failed in enough reruns.

        One rerun is enough for runs that disagree, which stay flaky, and for an exception that is raised again. Wrong
        values, hangs and ranks that died have to show in `confirmations` reruns.
        """
        raised = self.verdict is Verdict.CRASH and not (self.error and self.error.type in DIED)
        sure = raised or self.verdict is Verdict.FLAKY
        return self.verdict.settled or self.confirmed[1] > (min(1, confirmations) if sure else confirmations)


@dataclass(frozen=True)
class EnvironmentInfo:
    """What a cell ran on, as reported by the measured interpreter."""

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
    """The versions of further packages that decide a result, by name."""
    report_limits: Mapping[ReportPart, ReportLimit] = field(default_factory=dict, hash=False)
    """By part of the loading report, what this transformers does not tell under ZeRO-3; such parts are not compared."""


@dataclass(frozen=True)
class Timing:
    """The wall time of a cell in seconds, and its memory."""

    __pydantic_config__: ClassVar[dict[str, bool]] = _FINITE

    seconds: float = 0.0
    import_seconds: float = 0.0
    """One import of the packages."""
    load_seconds: float = 0.0
    """The part inside `from_pretrained` and `save_pretrained`."""
    rss_mb: float = 0.0
    """Peak memory of a rank, in MiB."""

    def __add__(self, later: "Timing") -> "Timing":
        """Adds the times of the later part of a cell that was measured in two parts."""
        return Timing(
            self.seconds + later.seconds,
            self.import_seconds + later.import_seconds,
            self.load_seconds + later.load_seconds,
            max(self.rss_mb, later.rss_mb),
        )


@dataclass(frozen=True)
class Cell:
    """All cases of one environment."""

    environment: EnvironmentInfo
    catalog: str
    """A digest of the catalog, or of the user's model."""
    probe: str
    """A digest of the code that measured."""
    started: str
    """When it started, in ISO 8601 and UTC."""
    planned: int
    """The number of cases that were asked for."""
    cases: tuple[Case, ...] = ()
    complete: bool = False
    """False when the file has no `end` record: the cell was cut short, and a case that is not in `cases` is untested."""
    timing: Timing = Timing()
    error: Failure | None = None
    """Why the environment could not be measured."""


@dataclass(frozen=True)
class Run:
    """A set of cells, immutable once written."""

    cells: tuple[Cell, ...]

"""What a check says about itself, what it gets from the probe, and what it returns.

Imported by host and probe, as `matrix.model` is: standard library only, Python 3.10 or newer.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from matrix.model import Failure, Kind, Scalar
from matrix.saved_names import SavedNames, Specs


@dataclass(frozen=True)
class Flaw:
    """One way in which one tensor of one rank is wrong; the fields are those of `Finding`."""

    kind: Kind
    expected: tuple[Scalar, ...] = ()
    actual: tuple[Scalar, ...] = ()
    elements: tuple[int, int] = (0, 0)
    detail: str = ""


Flaws = Mapping[str, Sequence[Flaw]]
"""What is wrong with each tensor; those that are right are left out."""


@dataclass(frozen=True)
class LoadingReport:
    """What `from_pretrained` says of a load: sorted names, and messages on one line. Its fields are the keys of that report."""

    missing_keys: tuple[str, ...] = ()
    unexpected_keys: tuple[str, ...] = ()
    mismatched_keys: tuple[str, ...] = ()
    error_msgs: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Sequence[str]] | None) -> "LoadingReport | None":
        """Returns the report that `dataclasses.asdict` and JSON made into `values`; None for None."""
        return cls(**{part: tuple(names) for part, names in values.items()}) if values else None


@dataclass(frozen=True)
class CheckResult:
    """What a check found on one rank.

    `report` is what the loader said, None where it is not to be compared with a plain load's. `notes` has what a user should know,
    by what it is about.
    """

    flaws: Flaws = field(default_factory=dict)
    report: LoadingReport | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    """Wrong tensors that are named as missing by a load that this rank alone made, without ZeRO-3: wrong, but not silent."""


class CheckSession(Protocol):
    """What a check's `run` gets of the probe, on each rank of a group; all ranks do the same in the same order.

    Models and tensors are `Any`: their types differ with every release measured, and the host has none of them.
    """

    @property
    def model(self) -> Any:
        """The model, loaded from the checkpoint under ZeRO-3: one for all checks of a task."""

    @property
    def report(self) -> LoadingReport | None:
        """What the loader said of the load; None where the model has a way of its own to load, which says nothing."""

    @property
    def partitioned(self) -> bool:
        """Whether ZeRO-3 sharded every parameter of the model; otherwise the check says nothing."""

    @property
    def folder(self) -> Path:
        """Where the check may write: the same folder on every rank, maybe not there yet."""

    def under_zero3(self) -> AbstractContextManager[None]:
        """Makes transformers load and save under ZeRO-3."""

    def poisoned(self) -> AbstractContextManager[None]:
        """Fills memory that torch hands out with what cannot be mistaken for a right value. For all upstream code."""

    def timed(self) -> AbstractContextManager[None]:
        """Counts the time as spent inside from_pretrained and save_pretrained."""

    def restore(self) -> None:
        """Gives the model the right values: whole buffers and this rank's shards, in the dtypes that it has them in."""

    def initialize(self) -> AbstractContextManager[Any]:
        """Makes a DeepSpeed engine of the model, and frees what it holds afterwards. Raises what upstream raises."""

    def save(self, folder: Path, **options: Any) -> None:
        """Saves the model into `folder` with `save_pretrained` and `options`. Raises what upstream raises."""

    def judge_shards(self) -> Flaws:
        """Returns what is wrong with the model under ZeRO-3, put together from the shards of all ranks."""

    def judge_state(self, state: Mapping[str, Any]) -> Flaws:
        """Returns what is wrong with the tensors in `state`, a state dict, without those that it does not have."""

    def judge_saved(self, folder: Path) -> tuple[Flaws, tuple[str, ...]]:
        """Returns what is wrong with a plain load of `folder`, in the dtype that the model was loaded in, and its missing keys."""

    def count_lost(self, folder: Path) -> tuple[Mapping[str, int], int]:
        """Returns how many tensors of the model's own checkpoint are "empty", "missing" and "wrong" in that in `folder`.

        The second number is how many it has.
        """


class NotApplicableError(Exception):
    """Raised for a model that a check cannot be made with; the message says why, for people."""


def is_inapplicable(failure: Failure) -> bool:
    """Returns whether `failure` is a NotApplicableError, as records have it."""
    return failure.type == NotApplicableError.__name__


@dataclass(frozen=True)
class Way:
    """One way to make the model of a check: from which checkpoint, as which class."""

    name: str = ""
    """Tells it from the other ways of its check, in words for people; empty where a check has one way only."""
    folder: Path = Path("checkpoint")
    """The checkpoint, inside the folder of the architecture."""
    class_name: str = ""
    """Its class, looked for where the model's own class is defined, then in transformers; empty for the model's own class."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What `from_pretrained` is given besides the dtype."""
    borrowed: bool = False
    """Whether the checkpoint has names of another release: it is compared only where one process takes all that it needs from it."""
    note: str = ""
    """What a user should know about it."""


class Checkpoints(Protocol):
    """What a check's `prepare` gets: the model in one process, and where it may write checkpoints of it."""

    @property
    def model(self) -> Any:
        """The model without ZeRO-3, every tensor of it with a value of its own."""

    @property
    def written(self) -> Mapping[str, Any]:
        """The tensors of its checkpoint, by the names that `save_pretrained` of this release gave them."""

    @property
    def older(self) -> Sequence[SavedNames]:
        """What only older releases save of this class, as the catalog knows it, the oldest first.

        Raises NotApplicableError where that list cannot be read.
        """

    def give_values(self, tensors: Specs) -> Mapping[str, Any]:
        """Returns tensors of these dtypes and shapes, each with values of its own."""

    def make_other_config(self, recipe: Mapping[str, Any]) -> Any:
        """Returns the configuration that a tiny recipe of the catalog gives; None for the model's own, and one refused here."""

    def read(self, folder: Path) -> Mapping[str, Any]:
        """Returns the tensors of a checkpoint, by the names that they have there."""

    def class_names(self, task: str) -> Sequence[str]:
        """Returns the classes that transformers' auto class for a task, such as `SEQUENCE_CLASSIFICATION`, has for this model."""

    def folder(self, name: str) -> Path:
        """Returns a folder for a checkpoint of that name, inside that of the architecture. Two checks never get the same."""

    def save_config(self, config: Any, folder: Path) -> None:
        """Writes a configuration in the place of that in `folder`."""

    def write(self, folder: Path, shards: Sequence[Mapping[str, Any]], kind: str = "safetensors") -> None:
        """Writes a checkpoint of so many files, with the configuration of the model. `kind` is `bin` for torch's own format."""

    def save(self, model: Any, folder: Path, **options: Any) -> None:
        """Saves a model with `save_pretrained` and `options`. Raises what upstream raises."""

    def save_trainable(self, folder: Path) -> str:
        """Saves a model with values that it can be trained with, and a batch for it. Returns in words what is in the batch.

        Raises NotApplicableError where nothing fits its `forward`.
        """


class Maker(Protocol):
    """What a check's `make` gets: the same calls in one process and, on each rank, under ZeRO-3."""

    def load(self, way: Way) -> Any:
        """Returns the model that `from_pretrained` gives. Raises what upstream raises."""

    def build(self, way: Way) -> Any:
        """Returns a new model with the configuration of the checkpoint, as `from_config` of an auto class does."""


def load(maker: Maker, way: Way) -> Any:
    """Loads the model and returns it, with nothing done to it."""
    return maker.load(way)


@dataclass(frozen=True)
class Trial:
    """A check that makes a model in the same way in one process and under ZeRO-3, and compares the two.

    What is random is compared in its spread only: what two models in one process, made with different seeds, do not share.
    """

    prepare: Callable[[Checkpoints], Sequence[Way]]
    """Writes the checkpoints of each way that this model can be made in. Raises NotApplicableError where there is none."""
    make: Callable[[Maker, Way], Any] = load
    """Returns the model; all ranks do the same in the same order."""
    loads: bool = True
    """Whether `make` loads a checkpoint. Where it does not, all is computed, and nothing has to agree in every bit."""
    trains: bool = False
    """Whether the model does one step with the batch in the folder of its checkpoint; outputs and moved values are compared then."""


@dataclass(frozen=True)
class CheckWords:
    """A check for people: what models do in it (`load`, `loading`), the call that it makes, and a sentence about it."""

    verb: str
    doing: str
    call: str
    meaning: str
    given: str = ""
    """What the call is given that it would not be without ZeRO-3."""


@dataclass(frozen=True)
class CheckDescription:
    """What a file of `matrix/checks` says about its check."""

    words: CheckWords
    run: Callable[[CheckSession], CheckResult] | None = None
    """What each rank does with the model that all checks of a task share."""
    trial: Trial | None = None
    """What is done instead by a check that makes models of its own: it shares none."""
    after: tuple[str, ...] = ()
    """The checks that run before it on the same model, if they are asked for too."""
    needed_for_safe: bool = False
    """Whether versions are safe only where this check was measured and passed."""
    needs_saved: bool = False
    """Whether `save_pretrained` of this release must write the checkpoint; a case where it cannot is `baseline_broken`."""
    in_one_process: bool = False
    """Whether a plain load in one process gives the verdict, without any ranks."""

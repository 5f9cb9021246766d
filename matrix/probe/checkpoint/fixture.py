"""The tiny checkpoint of an architecture, full of sentinels, and what each of its tensors should hold."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file
from torch import Tensor

from matrix.check_protocol import Flaw, LoadingReport
from matrix.checks import CHECKS
from matrix.model import Check, Failure, Kind, Precision, What
from matrix.probe.checkpoint.floats import identical
from matrix.probe.checkpoint.judge import Judged, Reference, judge
from matrix.verdicts import Verdict

Model = Any
"""A transformers model. Its class differs with every release measured, so nothing more can be said of its type."""


BESIDE: Mapping[str, str] = {"qwen2_5_omni": "spk_dict.pt"}
"""By model type the file that its from_pretrained needs besides the weights and its save_pretrained does not write."""


@dataclass(frozen=True)
class Fixture:
    """How the fixture of one architecture turned out, loaded in `requested`, as the builder reports it to the zygote.

    `verdict` is `pass` when the plain load works, else `unsupported` or `baseline_broken` with `error`; with `pass`, an
    `error` says why nothing can be saved in one process. `baseline` names what the plain load already gets wrong: (tensor,
    kind) pairs that ZeRO-3 is not blamed for. `alike` names the tensors whose sentinels prove little, because their dtype
    has too few values. `report` is what the loader said of the plain load, None where it
    is not known.
    """

    architecture: str
    requested: Precision
    verdict: Verdict
    error: Failure | None = None
    baseline: tuple[tuple[str, Kind], ...] = ()
    report: LoadingReport | None = None
    seconds: float = 0.0
    load_seconds: float = 0.0
    alike: tuple[str, ...] = ()
    check: str = ""
    """The check that it is for, where that makes models of its own; empty for all others together."""
    left_out: tuple[tuple[str, str], ...] = ()
    """The ways of that check that are not compared, and why."""

    def foreseen(self, check: Check) -> Verdict:
        """Returns the verdict of `check` without ZeRO-3: `pass` where it has to be made."""
        unsaved = self.verdict is Verdict.PASS and self.error is not None
        return Verdict.BASELINE_BROKEN if unsaved and CHECKS[check].needs_saved else self.verdict

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Fixture":
        """Returns the fixture that `dataclasses.asdict` gave as `values`."""
        error = Failure(**values["error"]) if values["error"] else None
        baseline = tuple((name, Kind(kind)) for name, kind in values["baseline"])
        read = {
            "requested": Precision(values["requested"]),
            "verdict": Verdict(values["verdict"]),
            "error": error,
            "baseline": baseline,
            "report": LoadingReport.from_dict(values["report"]),
            "alike": tuple(values["alike"]),
            "left_out": tuple((way, why) for way, why in values["left_out"]),
        }
        return cls(**{**values, **read})


def fixture_folder(root: Path, architecture: str) -> Path:
    """Returns the folder of the fixture of `architecture` under `root`."""
    return root / re.sub(r"\W", "_", architecture)


def reference_file(folder: Path, requested: Precision) -> Path:
    """Returns the file in the `folder` of a fixture that has the reference for loads in a dtype."""
    return folder / f"reference.{requested}.pt"


def load_reference(root: Path, architecture: str, requested: Precision) -> Reference:
    """Reads what every tensor of `architecture`, loaded in a dtype, should hold, as `build_fixtures` stored it."""
    file = reference_file(fixture_folder(root, architecture), requested)
    reference: Reference = torch.load(file, weights_only=False)  # our own file
    return reference


def named_tensors(model: Model) -> dict[str, Tensor]:
    """Returns every parameter and buffer by each of its names, tied and shared ones included. Gathers nothing."""
    found: dict[str, Tensor] = dict(model.named_parameters(remove_duplicate=False))
    found.update(model.named_buffers(remove_duplicate=False))
    return found


def classify_tensor(name: str, reference: Reference) -> What:
    """Returns whether `name` is a parameter, a persistent or a non-persistent buffer, or an output."""
    if name in reference.outputs:
        return What.OUTPUT
    if name in reference.nonpersistent:
        return What.NONPERSISTENT
    return What.PARAMETER if name in reference.parameters else What.BUFFER


def describe_tensors(root: Path, architecture: str, requested: Precision) -> dict[str, tuple[What, str]]:
    """Returns what each tensor of `architecture`, loaded in a dtype, is, and its site."""
    reference = load_reference(root, architecture, requested)
    return {name: (classify_tensor(name, reference), site) for name, site in reference.sites.items()}


def _owner(model: Model, name: str) -> tuple[Any, str]:
    prefix, _, leaf = name.rpartition(".")
    return model.get_submodule(prefix), leaf


def set_buffer(model: Model, name: str, value: Tensor) -> None:
    """Sets buffer `name` of `model` to `value`, in place where its memory allows, otherwise as a new tensor."""
    module, leaf = _owner(model, name)
    buffer = module._buffers[leaf]
    # An expanded buffer has a stride of 0: its elements share memory, and torch refuses to copy into it.
    if buffer.is_meta or buffer.shape != value.shape or buffer.dtype != value.dtype or 0 in buffer.stride():
        module._buffers[leaf] = value.to(buffer.device if not buffer.is_meta else value.device).clone()
    else:
        buffer.copy_(value)


@torch.no_grad()
def fill(model: Model, values: Mapping[str, Tensor]) -> None:
    """Sets every tensor of a plain model to `values`, keyed by state dict name."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name, value in values.items():
        if name in parameters:
            parameters[name].copy_(value)
        else:
            set_buffer(model, name, value)


def copy_state(model: Model) -> dict[str, Tensor]:
    """Returns a copy of every tensor in the state dict of a plain `model`."""
    return {name: value.detach().clone() for name, value in model.state_dict().items() if isinstance(value, Tensor)}


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Returns every tensor in the files of a checkpoint, by the name that it has there."""
    saved: dict[str, Tensor] = {}
    for file in sorted(path.glob("*.safetensors")):
        saved.update(load_file(file))
    # Some releases write torch's own format, and so does the fallback of `write_without_saving`.
    for file in sorted(path.glob("*.bin")):
        saved.update(torch.load(file, weights_only=True))
    return saved


def find_loss(value: Tensor, saved: Tensor | None) -> str:
    """Returns how a `value` is lost in a checkpoint that has `saved` for it; nothing where it is not, in whatever dtype."""
    if saved is None:
        return "missing"
    if not saved.numel() and value.numel():
        return "empty"
    return "" if saved.shape == value.shape and identical(saved, value.to(saved.dtype)) else "wrong"


def save(model: Model, path: Path, **options: Any) -> None:
    """Calls `save_pretrained` into `path` and adds what a published checkpoint has. Raises what upstream raises."""
    model.save_pretrained(path, **options)
    write_extra_files(model, path)


def write_extra_files(model: Model, path: Path) -> None:
    """Writes into the folder `path` what from_pretrained needs besides the weights of `model`."""
    if name := BESIDE.get(model.config.model_type):
        torch.save({}, path / name)


def _left_out(model: Model, name: str, saved: Mapping[str, Tensor]) -> bool:
    """Returns whether the model class says that `name` is not saved: nothing to load then."""
    patterns = getattr(model, "_keys_to_ignore_on_save", None) or ()
    return name not in saved and any(re.search(pattern, name) for pattern in patterns)


def make_sites(model: Model, names: set[str]) -> dict[str, str]:
    """Returns the module class of each tensor in `names`, and its name inside it."""
    owners = {name: _owner(model, name) for name in names}
    return {name: f"{type(module).__name__}.{leaf}" for name, (module, leaf) in owners.items()}


def make_reference(model: Model, initial: dict[str, Tensor], checkpoint: Path) -> Reference:
    """Returns what each tensor of a `model` full of sentinels, saved to `checkpoint`, should hold from now on.

    A value is read from the written file. Where the file holds a tensor under another name or in another layout (weight
    conversions of transformers 5), it is the sentinel itself, and the baseline shows that the file carries it.
    """
    filled = copy_state(model)  # tied tensors share the sentinel that was written last
    nonpersistent = {n: b.detach().clone() for n, b in model.named_buffers(remove_duplicate=False) if n not in filled}
    saved = read_checkpoint(checkpoint)
    expected = {
        name: saved[name] if name in saved and identical(saved[name], value) else value
        for name, value in filled.items()
        if not _left_out(model, name, saved)
    }
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    return Reference(
        expected=expected,
        initial=initial,
        nonpersistent=nonpersistent,
        parameters=frozenset(parameters & set(expected)),
        sites=make_sites(model, set(expected) | set(nonpersistent)),
    )


def adopt_dtypes(written: Reference, loaded: Mapping[str, Tensor]) -> Reference:
    """Returns what each tensor should hold after a load with the dtype that the model `loaded` plainly was asked for.

    Values of the checkpoint are rounded to the dtypes that the plain load has. What the configuration computes is computed in
    another precision as well, so there the values of the plain load count, unless it left them unwritten.
    """
    expected = {name: _in_dtype_of(value, loaded.get(name)) for name, value in written.expected.items()}
    computed = {name: _computed(value, loaded.get(name)) for name, value in written.nonpersistent.items()}
    return replace(written, expected=expected, nonpersistent=computed)


LIKE: Final = 2**-4
"""How far, relatively, a value may be from one that is computed in float32: several roundings in bfloat16, each of 2**-9."""


def _in_dtype_of(value: Tensor, loaded: Tensor | None) -> Tensor:
    return value if loaded is None or loaded.is_complex() != value.is_complex() else value.to(loaded.dtype)


def _computed(value: Tensor, loaded: Tensor | None) -> Tensor:
    expected = _in_dtype_of(value, loaded)
    if loaded is None or loaded.is_meta or loaded.shape != value.shape or loaded.dtype == value.dtype:
        return expected
    # What a plain load left unwritten, or lost, is nothing like the value that the constructor computes.
    like = torch.isclose(loaded.to(value.dtype), value, rtol=LIKE, atol=LIKE, equal_nan=True)
    return loaded.detach().clone() if bool(like.all()) else expected


def find_flaws(actual: Mapping[str, Tensor], reference: Reference, names: Iterable[str]) -> dict[str, list[Flaw]]:
    """Returns what is wrong with each of `names` among the whole tensors in `actual`, without those that are right."""
    return keep_flaws(judge_all(actual, reference, names))


def keep_flaws(judged: Mapping[str, Judged]) -> dict[str, list[Flaw]]:
    """Returns what is wrong with each tensor that was judged, without those that are right."""
    return {name: list(found.flaws) for name, found in judged.items() if found.flaws}


def judge_all(actual: Mapping[str, Tensor], reference: Reference, names: Iterable[str]) -> dict[str, Judged]:
    """Returns what there is to say of each of `names` among the whole tensors in `actual`: flaws, or a note."""
    return {name: judge(name, actual.get(name), reference) for name in names}

"""Writes the checkpoints of a check, in one process."""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor

from matrix.check_protocol import NotApplicableError
from matrix.model import Architecture, Check
from matrix.probe.checkpoint.fixture import Model, copy_state, fill, fixture_folder, read_checkpoint, save
from matrix.probe.checkpoint.sentinels import sentinels
from matrix.probe.compat import list_packages
from matrix.probe.exceptions import explain
from matrix.probe.tiny import recipes
from matrix.probe.trials.batches import Batch, fill_randomly, find_batch, save_batch
from matrix.probe.trials.runnable import list_models
from matrix.saved_names import SavedNames, Specs, UnreadableNamesError, read_older

WEIGHTS = ("*.safetensors", "*.bin", "*.index.json")
"""The files of a checkpoint that hold its tensors or say where they are."""
_STEMS: Final = {"safetensors": "model", "bin": "pytorch_model"}
"""How the names of the files begin that `from_pretrained` looks for."""


class PlainCheckpoints:
    """What a check's `prepare` gets, as `matrix.check_protocol.Checkpoints` documents it."""

    def __init__(self, model: Model, architecture: Architecture, root: Path, check: Check) -> None:
        self.model = model
        self._architecture, self._check = architecture, check
        self._path = fixture_folder(root, architecture.id)

    @property
    def written(self) -> Mapping[str, Tensor]:
        """The tensors of the checkpoint."""
        return self.read(Path("checkpoint"))

    @cached_property
    def older(self) -> Sequence[SavedNames]:
        """What only older releases save of this class."""
        try:
            return read_older(self._architecture.id.partition("@")[0], list_packages()["transformers"])
        except UnreadableNamesError as error:
            raise NotApplicableError(f"the list of the names that older releases save: {error}") from error

    def give_values(self, tensors: Specs) -> Mapping[str, Tensor]:
        """Returns tensors of these dtypes and shapes, full of sentinels. What is one tensor in the model gets the same ones.

        Of those that have other shapes than the first, nothing is given: which one would be loaded is not said anywhere.
        """
        values = sentinels({name: _make_zeros(*spec.split()) for name, spec in tensors.items()})
        for first, *others in _find_alike(self.model, values):
            same = {name: values[first] for name in others if tensors[name] == tensors[first]}
            values = {name: value for name, value in values.items() if name not in others} | same
        return values

    def make_other_config(self, recipe: Mapping[str, Any]) -> Any:
        """Returns the configuration of another recipe than the model's own, None where it is refused."""
        if self._architecture.source is None and recipe == self._architecture.config:
            return None
        with suppress(Exception):  # what fits one release need not fit another
            return recipes.make_tiny_config(type(self.model), recipe)
        return None

    def read(self, folder: Path) -> Mapping[str, Tensor]:
        """Returns the tensors of a checkpoint."""
        return read_checkpoint(self._path / folder)

    def class_names(self, task: str) -> Sequence[str]:
        """Returns the classes that an auto class has for the model."""
        from transformers.models.auto import modeling_auto

        names: Mapping[str, Any] = getattr(modeling_auto, f"MODEL_FOR_{task}_MAPPING_NAMES", {})
        found = names.get(self.model.config.model_type, ())
        return (found,) if isinstance(found, str) else tuple(found)

    def folder(self, name: str) -> Path:
        """Returns a folder for a checkpoint of that name, relative to that of the architecture."""
        return Path(f"{self._check}.{name}")

    def write(self, folder: Path, shards: Sequence[Mapping[str, Tensor]], kind: str = "safetensors") -> None:
        """Writes a checkpoint of so many files and their index, and all that is in the first one besides weights."""
        target = self._path / folder
        shutil.copytree(self._path / "checkpoint", target, ignore=shutil.ignore_patterns(*WEIGHTS))
        stem = _STEMS[kind]
        names = [f"{stem}-{number + 1:05}-of-{len(shards):05}.{kind}" for number in range(len(shards))]
        for name, tensors in zip(names, shards, strict=True):
            whole = {key: value.contiguous().clone() for key, value in tensors.items()}
            torch.save(whole, target / name) if kind == "bin" else save_file(whole, target / name, {"format": "pt"})
        where = {key: name for name, tensors in zip(names, shards, strict=True) for key in tensors}
        size = sum(value.numel() * value.element_size() for tensors in shards for value in tensors.values())
        index = {"metadata": {"total_size": size}, "weight_map": where}
        (target / f"{stem}.{kind}.index.json").write_text(json.dumps(index), encoding="utf-8")

    def save_config(self, config: Any, folder: Path) -> None:
        """Writes a configuration in the place of another."""
        config.save_pretrained(self._path / folder)

    def save(self, model: Model, folder: Path, **options: Any) -> None:
        """Saves a model."""
        save(model, self._path / folder, **options)

    def save_trainable(self, folder: Path) -> str:
        """Saves the first model of the architecture that a batch fits, and the batch."""
        why = "all sizes that were tried are too large, or do not fit each other"
        refused: Exception | None = None
        for model in list_models(self._architecture, self.model):
            fill_randomly(model)
            values, batch = copy_state(model), find_batch(model)
            if isinstance(batch, Batch):
                fill(model, values)
                self.save(model, folder)
                save_batch(batch, self._path / folder)
                return "given " + ", ".join(f"{name} {list(value.shape)}" for name, value in batch.inputs.items())
            refused = refused or batch
        if refused:
            why = str(refused) if isinstance(refused, NotApplicableError) else explain(refused)
        raise NotApplicableError(f"no batch that was tried fits its forward: {why}")


def _make_zeros(dtype: str, *shape: str) -> Tensor:
    return torch.zeros([int(size) for size in shape], dtype=getattr(torch, dtype))


def _find_alike(model: Model, names: Iterable[str]) -> Iterator[list[str]]:
    """Yields those of `names` that are one tensor in the model. Releases differ in how they begin, not in how they end."""
    held = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    tensors: dict[str, set[int]] = defaultdict(set)
    ends: dict[int, set[str]] = defaultdict(set)
    for name, tensor in held:
        tensors[_end(name)].add(id(tensor))
        ends[id(tensor)].add(_end(name))
    alone = [found for found in ends.values() if all(len(tensors[end]) == 1 for end in found)]
    alike = ([name for name in names if _end(name) in found] for found in alone)
    yield from (found for found in alike if len(found) > 1)


def _end(name: str) -> str:
    return ".".join(name.split(".")[-2:])

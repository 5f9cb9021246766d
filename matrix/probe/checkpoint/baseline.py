"""The baseline: what a plain load, in one process, gives back of a tiny checkpoint full of sentinels."""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from matrix.model import Architecture, Failure, Kind
from matrix.probe.checkpoint.fixture import (
    Fixture,
    Model,
    copy_state,
    fill,
    find_flaws,
    fixture_folder,
    make_reference,
    named_tensors,
    save,
    write_extra_files,
)
from matrix.probe.checkpoint.sentinels import find_alike, sentinels
from matrix.probe.exceptions import failure
from matrix.probe.stopwatch import Stopwatch
from matrix.probe.tiny import recipes
from matrix.probe.uninitialized import poisoned_memory
from matrix.verdicts import Verdict

Baseline = tuple[tuple[str, Kind], ...]


def write_without_saving(model: Model, path: Path) -> None:
    """Writes a checkpoint as older releases did, for models that this one cannot save.

    It has all of the configuration, and torch's own format.

    4.x refuses to save RealmForOpenQA with safetensors and cannot read complex numbers back from one; 4.50 and 4.51
    cannot write jukebox's configuration.
    """
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    model.config.to_json_file(path / "config.json", use_diff=False)
    torch.save(model.state_dict(), path / "pytorch_model.bin")
    write_extra_files(model, path)


@dataclass(frozen=True)
class PlainLoad:
    """A `model` full of sentinels, its tensors as they were constructed (`initial`), and the folder of its fixture."""

    model: Model
    initial: dict[str, Tensor]
    path: Path
    watch: Stopwatch

    def run(self, keep: Callable[[Model, Path], None]) -> Baseline:
        """Returns what a plain load of the model that `keep` wrote gets wrong. Raises what either raises."""
        checkpoint = self.path / "checkpoint"
        with self.watch.running():
            keep(self.model, checkpoint)
        reference = make_reference(self.model, self.initial, checkpoint)
        with poisoned_memory(), self.watch.running():
            loaded = type(self.model).from_pretrained(checkpoint)
        torch.save(reference, self.path / "reference.pt")
        wrong = find_flaws(named_tensors(loaded), reference, {**reference.expected, **reference.nonpersistent})
        return tuple((name, flaw.kind) for name, found in wrong.items() for flaw in found)


def _compare_plain_load(loading: PlainLoad) -> tuple[Baseline, Failure | None]:
    """Returns what a plain load gets wrong, and why `save_pretrained` fails. Raises that if nothing can be loaded."""
    try:
        return loading.run(save), None
    except Exception as error:
        # Python deletes `error` at the end of the block, so it is kept under another name.
        refused = error
    with suppress(Exception):
        return loading.run(write_without_saving), failure(refused)
    raise refused


def build_fixture(architecture: Architecture, root: Path) -> Fixture:
    """Builds, saves and plainly loads `architecture` under `root`. What goes wrong is in the fixture, not raised."""
    started = time.perf_counter()
    try:
        # The constructor's values are evidence (`init_value`): memory that it leaves unwritten must not look like one.
        with poisoned_memory():
            model = recipes.build(architecture)
    except recipes.UnsupportedError as error:
        return Fixture(architecture.id, Verdict.UNSUPPORTED, failure(error))
    except Exception as error:
        return Fixture(architecture.id, Verdict.BASELINE_BROKEN, failure(error))
    watch = Stopwatch()
    try:
        initial = copy_state(model)
        values = sentinels(initial)
        fill(model, values)
        baseline, unsaved = _compare_plain_load(PlainLoad(model, initial, fixture_folder(root, architecture.id), watch))
    except Exception as error:
        return Fixture(architecture.id, Verdict.BASELINE_BROKEN, failure(error))
    seconds, alike = time.perf_counter() - started, find_alike(values, initial)
    return Fixture(architecture.id, Verdict.PASS, unsaved, baseline, seconds, watch.seconds, alike)

"""The baseline: what a plain load, in one process, gives back of a tiny checkpoint full of sentinels."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from matrix.check_protocol import LoadingReport
from matrix.model import Architecture, Failure, Kind, Precision
from matrix.probe.checkpoint.fixture import (
    Fixture,
    Model,
    adopt_dtypes,
    copy_state,
    fill,
    find_flaws,
    fixture_folder,
    make_reference,
    named_tensors,
    reference_file,
    save,
    write_extra_files,
)
from matrix.probe.checkpoint.judge import Reference
from matrix.probe.checkpoint.sentinels import find_alike, sentinels
from matrix.probe.compat import load_pretrained
from matrix.probe.exceptions import failure
from matrix.probe.loading_report import listening
from matrix.probe.stopwatch import Stopwatch
from matrix.probe.tiny import recipes
from matrix.probe.uninitialized import poisoned_memory
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class Baseline:
    """What a plain load gets wrong, and what it says of itself."""

    wrong: tuple[tuple[str, Kind], ...]
    report: LoadingReport | None


Loads = Mapping[Precision, Baseline | Failure]
"""By the dtype that was asked for, what a plain load gives, or raises."""


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
    requested: Sequence[Precision]

    def run(self, keep: Callable[[Model, Path], None]) -> Loads:
        """Returns what plain loads of the model that `keep` wrote get wrong, or raise.

        Raises what writing, or the first load, raises.
        """
        with self.watch.running():
            keep(self.model, self.path / "checkpoint")
        written = make_reference(self.model, self.initial, self.path / "checkpoint")
        first, *rest = self.requested
        return {
            first: self._load(written, first),
            **{precision: self._try_load(written, precision) for precision in rest},
        }

    def _try_load(self, written: Reference, requested: Precision) -> Baseline | Failure:
        try:
            return self._load(written, requested)
        except Exception as error:
            return failure(error)

    def _load(self, written: Reference, requested: Precision) -> Baseline:
        with poisoned_memory(), self.watch.running(), listening() as heard:
            loaded = load_pretrained(type(self.model), self.path / "checkpoint", requested)
        actual = named_tensors(loaded)
        reference = adopt_dtypes(written, actual)
        wrong = find_flaws(actual, reference, reference.tensors)
        plain = {name: actual[name].detach().clone() for name in wrong if name in actual}
        torch.save(replace(reference, plain=plain), reference_file(self.path, requested))
        return Baseline(tuple((name, flaw.kind) for name, found in wrong.items() for flaw in found), heard.report)


def _compare_plain_load(loading: PlainLoad) -> tuple[Loads, Failure | None]:
    """Returns what plain loads get wrong, and why `save_pretrained` fails. Raises that if nothing can be loaded."""
    try:
        return loading.run(save), None
    except Exception as error:
        # Python deletes `error` at the end of the block, so it is kept under another name.
        refused = error
    with suppress(Exception):
        return loading.run(write_without_saving), failure(refused)
    raise refused


def build_fixtures(architecture: Architecture, root: Path, requested: Sequence[Precision]) -> list[Fixture]:
    """Builds, saves and plainly loads `architecture` under `root`, once with each dtype that is asked for.

    What goes wrong is in the fixtures, not raised.
    """
    started = time.perf_counter()
    empty = [Fixture(architecture.id, precision, Verdict.PASS) for precision in requested]
    try:
        # The constructor's values are evidence (`init_value`): memory that it leaves unwritten must not look like one.
        with poisoned_memory():
            model = recipes.build(architecture)
    except recipes.UnsupportedError as error:
        return [replace(one, verdict=Verdict.UNSUPPORTED, error=failure(error)) for one in empty]
    except Exception as error:
        return [replace(one, verdict=Verdict.BASELINE_BROKEN, error=failure(error)) for one in empty]
    watch = Stopwatch()
    try:
        initial = copy_state(model)
        values = sentinels(initial)
        fill(model, values)
        plain = PlainLoad(model, initial, fixture_folder(root, architecture.id), watch, requested)
        loads, unsaved = _compare_plain_load(plain)
    except Exception as error:
        return [replace(one, verdict=Verdict.BASELINE_BROKEN, error=failure(error)) for one in empty]
    # The times are those of all loads together.
    first = replace(
        empty[0], seconds=time.perf_counter() - started, load_seconds=watch.seconds, alike=find_alike(values, initial)
    )
    return [_with_load(one, loads[one.requested], unsaved) for one in (first, *empty[1:])]


def _with_load(fixture: Fixture, load: Baseline | Failure, unsaved: Failure | None) -> Fixture:
    if isinstance(load, Failure):
        return replace(fixture, verdict=Verdict.BASELINE_BROKEN, error=load)
    return replace(fixture, error=unsaved, baseline=load.wrong, report=load.report)

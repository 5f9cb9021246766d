"""What one process makes in each way of a check: what the ranks are compared with."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from matrix.check_protocol import LoadingReport, NotApplicableError, Trial, Way, is_inapplicable
from matrix.checks import get_trial
from matrix.model import Architecture, Check, Failure, Precision, What
from matrix.probe.checkpoint.fixture import (
    Fixture,
    Model,
    classify_tensor,
    copy_state,
    fill,
    fixture_folder,
    make_sites,
)
from matrix.probe.checkpoint.judge import Reference
from matrix.probe.checkpoint.sentinels import sentinels
from matrix.probe.exceptions import failure
from matrix.probe.stopwatch import Stopwatch
from matrix.probe.tiny import recipes
from matrix.probe.trials.checkpoints import PlainCheckpoints
from matrix.probe.trials.maker import SEED, Made, ModelMaker
from matrix.probe.trials.spread import Masks, Random, find_masks, measure_random
from matrix.probe.trials.training import find_tolerances
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class Expected:
    """What the model of one way should hold, which of its values are `random`, and what must stay one tensor (`tied`)."""

    way: Way
    reference: Reference
    report: LoadingReport | None
    random: dict[str, Random] = field(default_factory=dict)
    tied: tuple[frozenset[str], ...] = ()
    exact: dict[str, Tensor] = field(default_factory=dict)
    """What is computed in float32, where nothing is loaded: ZeRO-3 may compute in it too, and round that."""
    near: dict[str, float] = field(default_factory=dict)
    """By how much a value may differ that was trained, or put out."""


def add_way(way: Way, name: str) -> str:
    """Returns how records name a tensor: behind its way where a check has several."""
    return f"{way.name}: {name}" if way.name else name


def join_reports(expected: Sequence[tuple[Way, LoadingReport | None]]) -> LoadingReport | None:
    """Returns the reports of all ways as one; None where one of them is not known."""
    known = [(way, report) for way, report in expected if report is not None]
    if len(known) < len(expected):
        return None
    parts = (one.name for one in fields(LoadingReport))
    return LoadingReport(
        *(
            tuple(sorted(add_way(way, name) for way, report in known for name in getattr(report, part)))
            for part in parts
        )
    )


def _file(root: Path, architecture: str, check: str, requested: Precision) -> Path:
    return fixture_folder(root, architecture) / f"{check}.{requested}.pt"


def load_expected(root: Path, architecture: str, check: str, requested: Precision) -> list[Expected]:
    """Reads what the models of each way should hold, as `build_trial` stored it."""
    found: list[Expected] = torch.load(_file(root, architecture, check, requested), weights_only=False)  # our own file
    return found


def describe_expected(root: Path, architecture: str, check: str, requested: Precision) -> dict[str, tuple[What, str]]:
    """Returns what each tensor of each way is, and its site, by the name that it has in records."""
    return {
        add_way(one.way, name): (classify_tensor(name, one.reference), site)
        for one in load_expected(root, architecture, check, requested)
        for name, site in one.reference.sites.items()
    }


def build_trial(architecture: Architecture, root: Path, shared: Sequence[Fixture], check: Check) -> list[Fixture]:
    """Builds the fixtures of `check`, in each dtype that the `shared` ones, which are built, have.

    Where nothing can be loaded in a dtype, that is what all of them say. Raises nothing.
    """
    broken = [replace(one, check=check) for one in shared if one.verdict is not Verdict.PASS]
    requested = [one.requested for one in shared if one.verdict is Verdict.PASS]
    if not requested:
        return broken
    model = recipes.build(architecture)
    fill(model, sentinels(copy_state(model)))
    missing = frozenset(name for one in shared if one.report for name in one.report.missing_keys)
    return [*broken, *PlainTrial(check, model, architecture, root, missing).build(requested)]


@dataclass(frozen=True)
class PlainTrial:
    """A check of one architecture in one process; `model` is full of sentinels, and its checkpoint is in the folder of `root`."""

    check: Check
    model: Model
    architecture: Architecture
    root: Path
    missing: frozenset[str] = frozenset()
    """Tensors that a load of its own checkpoint leaves missing too."""
    masks: dict[str, Masks] = field(default_factory=dict)
    """By way, what is random in float32. A narrower dtype has so few values that two seeds share some by chance."""
    exact: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    """By way, what is computed in float32."""

    @property
    def trial(self) -> Trial:
        """What the check does."""
        return get_trial(self.check)

    def build(self, requested: Sequence[Precision]) -> list[Fixture]:
        """Writes the checkpoints of every way, and what each should hold in each dtype; what goes wrong is in the fixtures."""
        empty = [Fixture(self.architecture.id, one, Verdict.PASS, check=self.check) for one in requested]
        try:
            ways = self.trial.prepare(PlainCheckpoints(self.model, self.architecture, self.root, self.check))
        except NotApplicableError as error:
            return [replace(one, verdict=Verdict.UNSUPPORTED, error=failure(error)) for one in empty]
        except Exception as error:
            return [replace(one, verdict=Verdict.BASELINE_BROKEN, error=failure(error)) for one in empty]
        return [self._make_all(one, ways) for one in empty]

    def _make_all(self, fixture: Fixture, ways: Sequence[Way]) -> Fixture:
        watch = Stopwatch()
        maker = ModelMaker(
            type(self.model),
            fixture_folder(self.root, self.architecture.id),
            fixture.requested,
            watch,
            fixture.requested,
        )
        tried = {way.name: self._try(maker, way) for way in ways}
        made = [one for one in tried.values() if isinstance(one, Expected)]
        refused = {name: one for name, one in tried.items() if isinstance(one, Failure)}
        if not made:
            return _refuse(fixture, refused)
        torch.save(made, _file(self.root, self.architecture.id, self.check, fixture.requested))
        report = join_reports([(one.way, one.report) for one in made])
        left_out = tuple((name, describe_refusal(one)) for name, one in refused.items())
        return replace(fixture, report=report, load_seconds=watch.seconds, left_out=left_out)

    def _try(self, maker: ModelMaker, way: Way) -> Expected | Failure:
        try:
            return self._make(maker, way)
        except Exception as error:
            found = failure(error)
            # Says nothing of this release: an older one may have made another model of the same sizes.
            return replace(found, type=NotApplicableError.__name__, message=_say(found)) if way.borrowed else found

    def _make(self, maker: ModelMaker, way: Way) -> Expected:
        made = maker.make(self.trial, way)
        model, report = made.model, made.report
        _require_loaded(model, report)
        if way.borrowed:
            self._require_whole(report)
        one, other = _copy(made), _copy(maker.make(self.trial, way, SEED + 1))
        if maker.requested is not Precision.FLOAT32 and way.name not in self.masks:
            with suppress(Exception):  # what cannot be made in float32 has the masks of its own dtype
                self._make(replace(maker, requested=Precision.FLOAT32, precision=Precision.FLOAT32), way)
        masks = self.masks.setdefault(way.name, {} if self.trial.trains else find_masks(one, other))
        random = measure_random(masks, one, other)
        exact = self.exact.setdefault(way.name, {} if self.trial.loads else one)
        reference = replace(make_reference(made, one), computed=not self.trial.loads)
        near, lost = find_tolerances(one, other, made.trained)
        if lost:
            way = replace(way, note=f"{way.note}; {lost} tensors depend too much on rounding to be compared")
        return Expected(way, reference, report, random, find_tied(model, one), exact, near)

    def _require_whole(self, report: LoadingReport | None) -> None:
        """Raises NotApplicableError where one process misses a tensor in the checkpoint, or does not say what it misses."""
        if report is None:
            raise NotApplicableError(
                "the model has a way of its own to load, which does not say what it leaves missing"
            )
        if left := sorted({*report.missing_keys} - self.missing):
            raise NotApplicableError(f"one process leaves {len(left)} tensors missing, such as {left[0]}")


def _refuse(fixture: Fixture, refused: Mapping[str, Failure]) -> Fixture:
    """Returns `fixture` without a way that can be compared: broken where one of them should be, with that error."""
    broken = [one for one in refused.values() if not is_inapplicable(one)]
    if broken:
        return replace(fixture, verdict=Verdict.BASELINE_BROKEN, error=broken[0])
    why = "; ".join(add_way(Way(name), one.message) for name, one in refused.items())
    return replace(fixture, verdict=Verdict.UNSUPPORTED, error=Failure(NotApplicableError.__name__, why))


def _require_loaded(model: Model, report: LoadingReport | None) -> None:
    """Raises NotApplicableError where one process loads nothing: random values would be all that is compared."""
    names = {name for name, _ in model.named_parameters()}
    if report and names and names <= set(report.missing_keys):
        raise NotApplicableError("one process takes nothing from this checkpoint either")


def describe_refusal(refused: Failure) -> str:
    """Returns in words why a way is not compared."""
    return f"not compared: {_say(refused)}"


def _say(raised: Failure) -> str:
    if is_inapplicable(raised):
        return raised.message
    return f"without ZeRO-3 it raises {raised.type}: {' '.join(raised.message.split())[:200]}"


def _copy(made: Made) -> dict[str, Tensor]:
    """Returns copies of the tensors that one process writes whole. What it leaves unwritten cannot be compared."""
    held = {name: tensor.detach().cpu() for name, tensor in made.tensors.items() if not tensor.is_meta}
    return {name: tensor.clone() for name, tensor in held.items() if not _is_unwritten(tensor)}


def _is_unwritten(value: Tensor) -> bool:
    return (value.is_floating_point() or value.is_complex()) and bool(value.to(_widest(value)).isnan().any())


def _widest(value: Tensor) -> torch.dtype:
    return torch.complex128 if value.is_complex() else torch.float64


def make_reference(made: Made, values: dict[str, Tensor]) -> Reference:
    """Returns `values`, of a model that one process made, as what the ranks should hold."""
    model, outputs = made.model, frozenset(made.trained.outputs)
    saved = set(model.state_dict())
    parameters = frozenset(name for name, _ in model.named_parameters(remove_duplicate=False))
    return Reference(
        expected={name: value for name, value in values.items() if name in saved},
        initial={},
        nonpersistent={name: value for name, value in values.items() if name not in saved},
        parameters=parameters & saved & set(values),
        sites=make_sites(model, set(values) - outputs) | {name: f"{type(model).__name__}.{name}" for name in outputs},
        outputs=outputs,
    )


def find_tied(model: Model, among: Collection[str]) -> tuple[frozenset[str], ...]:
    """Returns the names of each parameter that has several `among` those."""
    names: dict[int, set[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name in among:
            names.setdefault(id(parameter), set()).add(name)
    return tuple(frozenset(one) for one in names.values() if len(one) > 1)

"""A check that makes models of its own, on one rank: the model of each way, compared with what one process makes."""

import gc
import time
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from matrix.check_protocol import Flaw, LoadingReport, Trial, Way
from matrix.checks import get_trial
from matrix.job import Task
from matrix.model import Architecture, Check, Kind
from matrix.probe import compat
from matrix.probe.checkpoint.fixture import Model, fixture_folder, judge_all, keep_flaws, named_tensors
from matrix.probe.checkpoint.judge import Judged
from matrix.probe.checks import shards
from matrix.probe.checks.loaders import use_loader
from matrix.probe.checks.seen import Seen, count_tensors
from matrix.probe.stopwatch import Stopwatch
from matrix.probe.tiny import recipes
from matrix.probe.trials.maker import Made, ModelMaker
from matrix.probe.trials.plain import Expected, add_way, find_tied, join_reports, load_expected
from matrix.probe.trials.spread import judge_random

Flaws = dict[str, list[Flaw]]


class TrialSession:
    """Makes the models of one check. Every rank of the group does the same in the same order."""

    def __init__(self, task: Task, architecture: Architecture, root: Path) -> None:
        self.task, self.root = task, root
        self.watch = Stopwatch()
        path = fixture_folder(root, architecture.id)
        self._maker = ModelMaker(recipes.find_class(architecture), path, task.requested, self.watch, task.precision)
        self._model: Model = None
        self._notes: dict[str, str] = {}
        self.way = ""
        """The way in which the last model was made."""

    def run(self, check: Check) -> Seen:
        """Makes the model of each way and returns what this rank saw. Raises whatever upstream raises."""
        started, trial = time.perf_counter(), get_trial(check)
        flaws: Flaws = {}
        reports: list[tuple[Way, LoadingReport | None]] = []
        partitioned = True
        expected = load_expected(self.root, self.task.architecture, check, self.task.requested)
        for one in expected:
            report, found, sharded = self._compare(trial, one)
            flaws.update({add_way(one.way, name): those for name, those in found.items()})
            reports.append((one.way, report))
            partitioned = partitioned and sharded
        seconds = time.perf_counter() - started
        tensors = count_tensors(one.reference for one in expected)
        return Seen(flaws, join_reports(reports), self._notes, None, partitioned, tensors, seconds, self.watch.seconds)

    def _compare(self, trial: Trial, expected: Expected) -> tuple[LoadingReport | None, Flaws, bool]:
        self.way = expected.way.name
        with use_loader(self.task.loader), compat.zero3_config(compat.make_config(self.task.precision)):
            made = self._maker.make(trial, expected.way)
        self._model = made.model
        flaws = self._judge(made, expected)
        # New tensors may not be sharded yet: deepspeed.initialize does that later.
        sharded = any(shards.are_partitioned([parameter]) for parameter in self._model.parameters())
        self.close()
        return made.report, flaws, sharded

    def _judge(self, made: Made, expected: Expected) -> Flaws:
        model = made.model
        actual = {**made.tensors, **shards.gather_parameters(model)}
        judged = _judge_exact(_without_random(actual, expected), expected)
        self._notes.update({"the batch": expected.way.note} if expected.way.note else {})
        self._notes.update({add_way(expected.way, name): one.note for name, one in judged.items() if one.note})
        flaws = keep_flaws(judged)
        for name, flaw in (
            *_judge_random(actual, expected),
            *_find_untied(model, expected),
            *_find_unlike(model, expected),
        ):
            flaws.setdefault(name, [flaw])
        return flaws

    def close(self) -> None:
        """Frees the model: its parameters and hooks refer to each other."""
        if self._model is not None:
            shards.poison(self._model)
        self._model = None
        gc.collect()
        gc.freeze()


def _judge_exact(actual: Mapping[str, Tensor], expected: Expected) -> dict[str, Judged]:
    """Judges every tensor. Random values, and constants such as those of a norm, do not show where a value is from."""
    known = {name for name, value in expected.reference.expected.items() if _varies(value)}
    reference = replace(expected.reference, telling=frozenset(known - {*expected.random}))
    judged = judge_all(actual, reference, reference.tensors)
    again = [name for name, found in judged.items() if found.flaws and name in expected.exact]
    rounded = {name: expected.exact[name].to(reference.find(name).dtype) for name in again}
    right = judge_all(actual, replace(reference, expected=reference.expected | rounded), again)
    close = {
        name: Judged() for name, found in judged.items() if found.flaws and _is_near(actual.get(name), name, expected)
    }
    return judged | {name: found for name, found in right.items() if not found.flaws} | close


def _is_near(value: Tensor | None, name: str, expected: Expected) -> bool:
    """Returns whether a value is as near to that of one process as training in another order lets it be."""
    right = expected.reference.find(name)
    if value is None or value.is_meta or (value.shape, value.dtype) != (right.shape, right.dtype):
        return False
    apart = (value.detach().cpu().double() - right.double()).abs()
    return name in expected.near and bool((apart <= expected.near[name]).all())


def _varies(value: Tensor) -> bool:
    return value.numel() > 1 and not bool((value == value.flatten()[0]).all())


def _fits(name: str, actual: Mapping[str, Tensor], expected: Expected) -> bool:
    held = actual.get(name)
    return held is not None and not held.is_meta and held.shape == expected.reference.find(name).shape


def _without_random(actual: Mapping[str, Tensor], expected: Expected) -> dict[str, Tensor]:
    """Returns `actual` with what one process has where that is random."""
    result = dict(actual)
    for name, random in expected.random.items():
        if _fits(name, actual, expected):
            held, right = actual[name].detach().cpu(), expected.reference.find(name)
            result[name] = torch.where(random.where, right.to(held.dtype), held)
    return result


def _judge_random(actual: Mapping[str, Tensor], expected: Expected) -> list[tuple[str, Flaw]]:
    fitting = {name: random for name, random in expected.random.items() if _fits(name, actual, expected)}
    judged = {name: judge_random(actual[name].detach().cpu(), random) for name, random in fitting.items()}
    return [(name, flaw) for name, flaw in judged.items() if flaw]


def _find_untied(model: Model, expected: Expected) -> list[tuple[str, Flaw]]:
    """Returns a flaw for each name that is no longer another name of the same parameter."""
    tied = find_tied(model, expected.reference.tensors)
    lost = [names for names in expected.tied if not any(names <= one for one in tied)]
    return [
        (name, Flaw(Kind.UNTIED, detail=f"one process has {first} and this as one tensor"))
        for names in lost
        for first, *rest in [sorted(names)]
        for name in rest
    ]


def _find_unlike(model: Model, expected: Expected) -> list[tuple[str, Flaw]]:
    """Returns a flaw for each random tensor, whole on every rank, that is not that of rank 0. A collective call."""
    tensors = named_tensors(model)
    names = [name for name in sorted(expected.random) if name in tensors and not hasattr(tensors[name], "ds_tensor")]
    mine = [(name, tensors[name].detach().cpu()) for name in names if not tensors[name].is_meta]
    bits = {name: zlib.crc32(value.flatten().view(torch.uint8).numpy().tobytes()) for name, value in mine}
    answers: list[dict[str, int]] = [{} for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(answers, bits)
    unlike = [name for name, value in bits.items() if answers[0].get(name) != value]
    return [(name, Flaw(Kind.UNLIKE, detail="not what rank 0 has, from the same seed")) for name in unlike]

"""What a user's model is, found before any rank looks at it: its class, how small it became, and what that lost.

In a forked process, since building somebody's model may end it, hang, or need more memory than there is.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel

from matrix.job import Job, Task
from matrix.model import Architecture, Check, Loader, Source
from matrix.probe import recipes, sites, targets
from matrix.probe.channel import Channel, Child, fork
from matrix.probe.targets import TargetError, explained

FAMILY = "own"
MOST_PARAMETERS = 64_000_000
"""More than that is not tiny: 256 MB on every rank, and as much in the checkpoint."""


def identified(source: Source) -> Architecture:
    """The architecture that `source` is: `model_type:ClassName`, and its label behind an @. Raises TargetError."""
    cls = targets.model_class(source)
    model_type = getattr(cls.config_class, "model_type", "") or cls.__module__
    label = f"@{source.label}" if source.label else ""
    return Architecture(f"{model_type}:{cls.__name__}{label}", FAMILY, source=source)


def _readings(source: Source) -> Iterator[Source]:
    """`source`, and without what its class derives from other values, which no longer fits when those are smaller."""
    yield source
    if source.config:
        about = {name: source.config[name] for name in targets.ABOUT_THE_FILE if name in source.config}
        values = recipes.stated(targets.full_config(source), targets.values(source))
        yield replace(source, config={**values, **about})


def _built(source: Source) -> dict[str, Any]:
    """How large the model is that will be measured, its buffer sites, and the configuration that gave it.

    Raises TargetError.
    """
    refused: list[Exception] = []
    for reading in _readings(source):
        model = _tiny(reading)
        if not isinstance(model, Exception):
            return {"parameters": _count(model), "sites": list(sites.buffer_sites(model)), "config": reading.config}
        refused.append(model)
    raise TargetError(_why(source, refused[0])) from refused[0]


def _why(source: Source, refused: Exception) -> str:
    """Why the model cannot be made tiny, and what to do."""
    if isinstance(refused, recipes.UnsupportedError):
        return f"a package is missing in {sys.executable}: {refused}"
    try:
        _sketch(source, targets.full_config(source))
    except Exception as error:
        return f"it cannot be built in any size: {explained(error)}"
    return f"it cannot be made tiny: {explained(refused)}; --full takes it as it is"


def _tiny(source: Source) -> PreTrainedModel | Exception:
    """The model that will be measured, or what kept it from being built."""
    try:
        _small_enough(source)
        return recipes.build(Architecture("", FAMILY, source=source))
    except Exception as error:
        return error


def _small_enough(source: Source) -> None:
    """Raises ValueError for a model that the rules leave so large that building it would be a nuisance."""
    try:
        parameters = _count(_sketch(source, recipes.own_config(source)))
    except Exception:
        return  # it will say so when it is built
    if parameters > MOST_PARAMETERS:
        raise ValueError(f"no rule makes it smaller than {parameters:,} parameters")


def _sketch(source: Source, config: PretrainedConfig) -> PreTrainedModel:
    """The model of that configuration without its memory. Raises what its constructor raises."""
    return sites.sketch(targets.model_class(source), config)


def _count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _compared(source: Source, kept: list[str]) -> dict[str, Any]:
    """The size of the model as it is, and its buffer sites that are not in `kept`; or why it cannot be looked at."""
    try:
        full = _sketch(source, targets.full_config(source))
    except Exception as error:
        return {"unknown": explained(error)}
    return {"full_parameters": _count(full), "lost": sorted(set(sites.buffer_sites(full)) - set(kept))}


def _resolve(source: Source, channel: Channel) -> None:
    try:
        architecture = identified(source)
        targets.full_config(source)
        channel.send({"id": architecture.id})
        if source.full:
            return
        built = _built(source)
        channel.send(built)
        channel.send(_compared(source, built["sites"]))
    except TargetError as error:
        channel.send({"refused": str(error)})


def _told(child: Child, timeout: float) -> dict[str, Any]:
    """All that `child` tells until it is done, dies, or gives no sign for `timeout` seconds."""
    told: dict[str, Any] = {}
    child.channel.socket.settimeout(timeout)
    with suppress(TimeoutError):
        for message in child.channel:
            told |= message
    child.channel.close()
    os.kill(child.pid, signal.SIGKILL)  # not yet waited for, so the number is still its own
    os.waitpid(child.pid, 0)
    return told


def resolved(job: Job) -> tuple[Job, dict[str, Any]]:
    """`job` with the architecture and the tasks of its target, and what `matrix.diagnosis.Resolved` holds of it.

    Raises TargetError when there is nothing to measure.
    """
    if job.target is None:
        raise ValueError("a job without a target has its architectures")
    told = _told(fork(partial(_resolve, job.target)), job.timeout)
    if "refused" in told:
        raise TargetError(told["refused"])
    if "id" not in told or not (job.target.full or "sites" in told):
        raise TargetError(f"building the model ended its process, or took longer than {job.timeout:.0f} s")
    if not job.target.full and not {"lost", "unknown"} & told.keys():
        told["unknown"] = f"building it ended its process, or took longer than {job.timeout:.0f} s"
    source = replace(job.target, config=told.pop("config", job.target.config))
    architecture = Architecture(told["id"], FAMILY, source=source)
    tasks = tuple(Task(architecture.id, loader, tuple(Check)) for loader in Loader)
    return replace(job, architectures=(architecture,), tasks=tasks), told

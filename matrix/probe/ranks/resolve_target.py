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

from matrix.checks import group_checks
from matrix.job import Job, Task
from matrix.model import Architecture, Loader, Source
from matrix.probe.ranks.ipc import Channel, Child, fork
from matrix.probe.tiny import recipes, shrink_user_model, user_model
from matrix.probe.tiny.shrink_user_model import FAMILY, Tiny
from matrix.probe.tiny.user_model import TargetError, explain_briefly


def identify(source: Source) -> Architecture:
    """Returns the architecture of `source`: `model_type:ClassName`, then @ and its label. Raises TargetError."""
    cls = user_model.find_class(source)
    model_type = getattr(cls.config_class, "model_type", "") or cls.__module__
    label = f"@{source.label}" if source.label else ""
    return Architecture(f"{model_type}:{cls.__name__}{label}", FAMILY, source=source)


def _why(source: Source, refused: Exception) -> str:
    """Returns why the model cannot be made tiny, and what to do."""
    if isinstance(refused, recipes.UnsupportedError):
        return f"a package is missing in {sys.executable}: {refused}"
    try:
        shrink_user_model.sketch(source)
    except Exception as error:
        return f"it cannot be built at any size: {explain_briefly(error)}"
    return f"it cannot be made tiny: {explain_briefly(refused)}; --full keeps its size"


def _shrink(source: Source) -> Tiny:
    """Returns the first tiny model of `source` that can be built. Raises TargetError."""
    try:
        return shrink_user_model.shrink(source)
    except Exception as error:
        raise TargetError(_why(source, error)) from error


def _describe(tiny: Tiny) -> dict[str, Any]:
    """Describes the model that will be measured: its size, its buffer sites, and the configuration that gave it."""
    return {"parameters": tiny.parameters, "sites": list(tiny.sites), "tiny": tiny.source.tiny}


def _compare(source: Source, tiny: Tiny) -> Iterator[dict[str, Any]]:
    """Yields the size of the full-size model and which of its buffer sites the tiny one has not, or why it is unknown.

    If some are missing, yields another tiny model that may have them.
    """
    try:
        full = shrink_user_model.sketch(source)
    except Exception as error:
        yield {"unknown": explain_briefly(error)}
        return
    wanted = frozenset(full.sites)
    yield {"full_parameters": full.parameters, "lost": sorted(wanted - {*tiny.sites})}
    if not wanted <= {*tiny.sites}:
        better = shrink_user_model.shrink(source, wanted)
        yield {**_describe(better), "lost": sorted(wanted - {*better.sites})}


def _resolve(source: Source, channel: Channel) -> None:
    try:
        architecture = identify(source)
        user_model.make_full_config(source)
        channel.send({"id": architecture.id})
        if source.full:
            return
        tiny = _shrink(source)
        # Sent before the full size is tried: if that ends this process, the tiny model is still measured.
        channel.send(_describe(tiny))
        for compared in _compare(source, tiny):
            channel.send(compared)
    except TargetError as error:
        channel.send({"refused": str(error)})


def _collect(child: Child, timeout: float) -> dict[str, Any]:
    """Collects what `child` sends until it is done, dies, or sends nothing for `timeout` seconds."""
    found: dict[str, Any] = {}
    child.channel.socket.settimeout(timeout)
    with suppress(TimeoutError):
        for message in child.channel:
            found |= message
    child.channel.close()
    os.kill(child.pid, signal.SIGKILL)  # not yet waited for, so the number is still its own
    os.waitpid(child.pid, 0)
    return found


def resolve(job: Job) -> tuple[Job, dict[str, Any]]:
    """Returns `job` with the architecture and the tasks of its target, and the description of that for the host.

    Raises TargetError when there is nothing to measure.
    """
    if job.target is None:
        raise ValueError("a job without a target has its architectures")
    found = _collect(fork(partial(_resolve, job.target)), job.timeout)
    if "refused" in found:
        raise TargetError(found["refused"])
    if "id" not in found or not (job.target.full or "sites" in found):
        raise TargetError(
            f"building the model failed: its process ended early, or it took longer than {job.timeout:.0f} s"
        )
    if not job.target.full and not {"lost", "unknown"} & found.keys():
        found["unknown"] = f"building it failed: its process ended early, or it took longer than {job.timeout:.0f} s"
    tiny = found.pop("tiny", {})
    source = replace(job.target, tiny=tiny, full=True)
    architecture = Architecture(found["id"], FAMILY, source=source)
    tasks = (
        Task(architecture.id, loader, checks, precision)
        for precision in job.precisions
        for loader in Loader
        for checks in group_checks(job.checks)
    )
    return replace(job, architectures=(architecture,), tasks=tuple(tasks)), found

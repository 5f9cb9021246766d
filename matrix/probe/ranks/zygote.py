"""The warm process (zygote): imports the packages once, and forks everything that does something with them."""

import gc
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from matrix.job import Job
from matrix.model import Device, EnvironmentInfo
from matrix.probe import compat
from matrix.probe.exceptions import failure
from matrix.probe.ranks.group import StartError
from matrix.probe.ranks.ipc import Channel, fork
from matrix.probe.ranks.resolve_target import resolve
from matrix.probe.ranks.scheduler import run_job
from matrix.probe.tiny.user_model import TargetError

Emit = Callable[[dict[str, Any]], None]


def _gpu_name(channel: Channel) -> None:
    channel.send({"name": torch.cuda.get_device_name(0), "count": torch.cuda.device_count()})


def describe_hardware(device: Device) -> str:
    """Returns what the ranks run on. A forked process looks: the zygote must not touch CUDA."""
    if device is Device.CPU:
        return f"{platform.machine()} {os.cpu_count()} cores"
    child = fork(_gpu_name)
    answers = list(child.channel)
    os.waitpid(child.pid, 0)
    return f"{answers[0]['count']} x {answers[0]['name']}" if answers else "unknown GPU"


def describe_environment(job: Job) -> EnvironmentInfo:
    """Returns what this interpreter really has; the host gives it its id."""
    packages = compat.list_packages()
    return EnvironmentInfo(
        id="",
        python=platform.python_version(),
        torch=torch.__version__,
        transformers=packages["transformers"],
        deepspeed=packages["deepspeed"],
        accelerate=packages.get("accelerate", "none"),
        device=job.device,
        backend=job.device.backend,
        world_size=job.world_size,
        hardware=describe_hardware(job.device),
        packages=packages,
        report_limits=compat.find_report_limits(),
    )


def warm_up(job: Job) -> None:
    """Imports what every model needs and lets the children's garbage collector skip it.

    Raises ImportError and what imports raise.
    """
    compat.preload()
    # On a GPU deepspeed may initialise CUDA when imported; then each rank imports it for itself.
    if job.device is Device.CPU or not compat.deepspeed_spoils_fork():
        compat.preload_deepspeed()
    if job.device is Device.CPU:
        compat.disable_shm_op()  # asks deepspeed which of its operations would compile, which takes each rank a while
    gc.collect()
    gc.freeze()


def resolve_target(job: Job, emit: Emit) -> Job:
    """Returns `job` with the tasks of its target, if it has one. Raises TargetError when that cannot be measured."""
    if job.target is None:
        return job
    found, description = resolve(job)
    emit({"target": description})
    return found


def measure(job: Job, root: Path, emit: Emit, started: float) -> int:
    """Does `job` with fixtures under `root`, emits what `matrix.probe.__main__` documents, and returns the exit code.

    `started` is the `time.perf_counter()` at which the process began to import.
    """
    try:
        warm_up(job)
        info = describe_environment(job)
    except Exception as error:
        emit({"failure": asdict(failure(error))})
        return 3
    imported = time.perf_counter() - started
    emit({"environment": asdict(info)})
    try:
        job = resolve_target(job, emit)
    except TargetError as error:
        emit({"refused": str(error)})
        return 2
    try:
        measured = run_job(job, root, emit)
    except StartError as error:
        emit({"failure": asdict(error.failure)})
        return 3
    emit({"end": {**measured, "import_seconds": imported, "seconds": time.perf_counter() - started}})
    return 0

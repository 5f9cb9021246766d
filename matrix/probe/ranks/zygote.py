"""The warm process: imports the packages once, forks everything that does something with them."""

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
from matrix.probe import compat as eras
from matrix.probe.exceptions import failure
from matrix.probe.ranks.group import StartError
from matrix.probe.ranks.ipc import Channel, fork
from matrix.probe.ranks.resolve_target import resolved
from matrix.probe.ranks.sweep import sweep
from matrix.probe.tiny.user_model import TargetError

Tell = Callable[[dict[str, Any]], None]


def _gpu_name(channel: Channel) -> None:
    channel.send({"name": torch.cuda.get_device_name(0), "count": torch.cuda.device_count()})


def hardware(device: Device) -> str:
    """What the ranks run on, asked in a forked process: the zygote must not touch CUDA."""
    if device is Device.CPU:
        return f"{platform.machine()} {os.cpu_count()} cores"
    child = fork(_gpu_name)
    answers = list(child.channel)
    os.waitpid(child.pid, 0)
    return f"{answers[0]['count']} x {answers[0]['name']}" if answers else "unknown GPU"


def environment_info(job: Job) -> EnvironmentInfo:
    """What this interpreter really has; the host gives it its id."""
    packages = eras.packages()
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
        hardware=hardware(job.device),
        packages=packages,
    )


def warm_up(job: Job) -> None:
    """Import what every model needs and let the children's garbage collector skip it.

    Raises ImportError and what imports raise.
    """
    eras.preload()
    if job.device is Device.CPU or not eras.deepspeed_spoils_fork():
        eras.preload_deepspeed()
    if job.device is Device.CPU:
        eras.without_shm_op()  # asks deepspeed which of its operations would compile, which takes each rank a while
    gc.collect()
    gc.freeze()


def identify(job: Job, tell: Tell) -> Job:
    """`job`, or what it becomes once its target is known; raises TargetError when that cannot be measured."""
    if job.target is None:
        return job
    found, told = resolved(job)
    tell({"target": told})
    return found


def measure(job: Job, root: Path, tell: Tell, started: float) -> int:
    """Do `job` with fixtures under `root`, telling as `matrix.probe.__main__` documents; the exit code.

    `started` is the `time.perf_counter()` at which the process began to import.
    """
    try:
        warm_up(job)
        info = environment_info(job)
    except Exception as error:
        tell({"failure": asdict(failure(error))})
        return 3
    imported = time.perf_counter() - started
    tell({"environment": asdict(info)})
    try:
        job = identify(job, tell)
    except TargetError as error:
        tell({"refused": str(error)})
        return 2
    try:
        measured = sweep(job, root, tell)
    except StartError as error:
        tell({"failure": asdict(error.failure)})
        return 3
    tell({"end": {**measured, "import_seconds": imported, "seconds": time.perf_counter() - started}})
    return 0

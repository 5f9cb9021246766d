"""One rank of a group: joins the others, then does the tasks that it is sent."""

import errno
import faulthandler
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from matrix.checks import CHECKS
from matrix.job import Job, Task
from matrix.model import Architecture, Device, Failure
from matrix.probe import compat
from matrix.probe.exceptions import failure
from matrix.probe.ranks.ipc import Channel

Message = dict[str, Any]


def join(device: Device, init_method: str | None = None) -> None:
    """Joins the process group that the RANK, LOCAL_RANK, WORLD_SIZE and MASTER variables describe.

    Before any `from_pretrained`: without a process group ZeRO-3 takes the world to be one rank and shards nothing
    (transformers #46822, DeepSpeed #8084).
    """
    # Before deepspeed is imported, which may initialise CUDA on the device that is current then.
    if device is Device.CUDA:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    compat.preload_deepspeed()
    if device is Device.CPU:
        compat.disable_shm_op()
    import deepspeed

    deepspeed.init_distributed(dist_backend=device.backend, init_method=init_method, verbose=False)


def become(rank: int, world_size: int, device: Device) -> None:
    """Sets the variables that a launcher would set for `rank` of a group on this host."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world_size),
        LOCAL_WORLD_SIZE=str(world_size),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT="29500",  # asked for by deepspeed; the ranks meet in a file, so nothing listens there
        DS_ACCELERATOR=device.value,
    )


def do_task(task: Task, architecture: Architecture, root: Path, send: Callable[[Message], None]) -> None:
    """Runs every check of `task` and sends each outcome as it comes. After an exception the rest cannot be reached."""
    from matrix.probe.checks.session import Session
    from matrix.probe.checks.trial_session import TrialSession

    session: Session | TrialSession | None = None
    kind = TrialSession if CHECKS[task.checks[0]].trial else Session
    started = time.perf_counter()
    for position, check in enumerate(task.checks):
        try:
            session = session or kind(task, architecture, root)
            seen = session.run(check)
        except Exception as error:
            # A full disk says nothing about the model.
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                send({"unable": asdict(failure(error))})
                return
            spent = {
                "seconds": time.perf_counter() - started,
                "load_seconds": session.watch.seconds if session else 0.0,
            }
            # The model is in an unknown state, and the ranks may be at different collectives.
            failed = asdict(_add_way(failure(error), session))
            for unreached in task.checks[position:]:
                send({"check": unreached, "failure": failed, **spent})
                spent = dict.fromkeys(spent, 0.0)
            break
        send({"check": check, "seen": asdict(seen)})
    if session:
        session.close()


def _add_way(failed: Failure, session: Any) -> Failure:
    """Returns a failure that says in which way of a trial it came."""
    way = getattr(session, "way", "")
    return replace(failed, message=f"{failed.message} ({way})") if way else failed


def _is_healthy() -> bool:
    from matrix.probe.ranks.health import is_healthy

    try:
        return is_healthy()
    except Exception:
        return False


def serve(job: Job, root: Path, meeting: Path, rank: int, channel: Channel) -> None:
    """Joins as rank `rank` the group that meets in the file `meeting`, and does the tasks that arrive on `channel`."""
    with Path(f"{meeting}.stack.{rank}").open("w") as stack:
        # Works inside a C++ collective, where a Python signal handler would never get its turn.
        faulthandler.register(signal.SIGUSR1, file=stack, all_threads=False)
        become(rank, job.world_size, job.device)
        architectures = {architecture.id: architecture for architecture in job.architectures}
        try:
            join(job.device, f"file://{meeting}?rank={rank}&world_size={job.world_size}")
        except Exception as error:
            channel.send({"unable": asdict(failure(error))})
            return
        channel.send({"ready": True})
        for message in channel:
            if "health" in message:
                channel.send({"healthy": _is_healthy()})
                continue
            task = Task.from_dict(message)
            do_task(task, architectures[task.architecture], root, channel.send)
            channel.send({"done": True, "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})

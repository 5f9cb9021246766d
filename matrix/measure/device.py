"""Chooses where the ranks run: on GPUs, or on the CPU."""

import os
import shutil

from matrix.errors import NotEnoughGpusError, WorldSizeError
from matrix.model import Device
from matrix.process.run import run


def count_gpus() -> int:
    """Counts the NVIDIA GPUs that the driver lists and CUDA_VISIBLE_DEVICES leaves; 0 without a driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    gpus = sum(line.startswith("GPU ") for line in run([tool, "-L"]).stdout.splitlines())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return gpus if visible is None else min(gpus, len([name for name in visible.split(",") if name.strip()]))


def resolve_device(device: str, world_size: int) -> Device:
    """Returns the device that `device` means here: `auto` is CUDA where there is a GPU for every rank.

    Raises NotEnoughGpusError or WorldSizeError.
    """
    if world_size < 2:
        raise WorldSizeError(world_size)
    gpus = 0 if device == "cpu" else count_gpus()
    if device == "cuda" and gpus < world_size:
        raise NotEnoughGpusError(world_size, gpus)
    return Device.CUDA if device != "cpu" and gpus >= world_size else Device.CPU

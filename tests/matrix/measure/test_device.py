"""Where the ranks run."""

import pytest

from matrix.errors import NotEnoughGpusError, WorldSizeError
from matrix.measure.device import resolve_device
from matrix.model import Device


@pytest.mark.parametrize(("device", "chosen"), [("auto", Device.CUDA), ("cuda", Device.CUDA), ("cpu", Device.CPU)])
def test_two_gpus_are_used_unless_told_otherwise(two_gpus: None, device: str, chosen: Device) -> None:
    assert resolve_device(device, 2) is chosen


@pytest.mark.parametrize(("visible", "has"), [("", "no NVIDIA GPU"), ("0", "only 1 GPU"), ("0,1", "2 GPUs")])
def test_more_ranks_than_visible_gpus_run_on_cpu_or_are_refused(
    two_gpus: None, monkeypatch: pytest.MonkeyPatch, visible: str, has: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert resolve_device("auto", 3) is Device.CPU
    with pytest.raises(NotEnoughGpusError, match=f"3 ranks needs 3 GPUs, but this machine has {has}: use --device cpu"):
        resolve_device("cuda", 3)


def test_without_a_driver_there_is_no_gpu(no_gpu: None) -> None:
    assert resolve_device("auto", 2) is Device.CPU
    with pytest.raises(NotEnoughGpusError, match="this machine has no NVIDIA GPU"):
        resolve_device("cuda", 2)


@pytest.mark.parametrize("world_size", [-1, 0, 1])
def test_a_world_that_shards_nothing_is_refused(world_size: int) -> None:
    with pytest.raises(
        WorldSizeError, match=f"--world-size {world_size}: ZeRO-3 needs at least 2 ranks to shard anything"
    ):
        resolve_device("cpu", world_size)

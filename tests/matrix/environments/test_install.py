"""What uv is asked for."""

from pathlib import Path

import pytest

from matrix.environments.install import _torch_backend, _whole_or_gone
from matrix.environments.spec import Environment


def test_without_a_driver_torch_comes_as_its_cpu_build_unless_a_folder_has_one(no_gpu: None, tmp_path: Path) -> None:
    environment = Environment("5.23.0", "0.19.8", "2.13.0")
    assert _torch_backend(environment, {"UV_FIND_LINKS": str(tmp_path)}) == ["--torch-backend", "cpu"]
    assert _torch_backend(environment, {"UV_TORCH_BACKEND": "cu126"}) == []
    (tmp_path / "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl").touch()
    assert _torch_backend(environment, {"UV_FIND_LINKS": f"/missing,{tmp_path}"}) == []


def test_with_a_driver_torch_comes_as_the_index_has_it(two_gpus: None) -> None:
    assert _torch_backend(Environment("5.23.0", "0.19.8", "2.13.0"), {}) == []


def test_an_installation_that_was_cut_short_is_made_again_from_nothing(tmp_path: Path) -> None:
    venv = tmp_path / "venv"

    def cut_short() -> None:
        with _whole_or_gone(venv):
            venv.mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_short()
    with _whole_or_gone(venv):
        assert not venv.exists()
        venv.mkdir()
    with _whole_or_gone(venv):
        assert venv.exists()  # what is whole is used again

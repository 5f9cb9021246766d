"""Machines as the tests of several folders need them: a sandbox that works here, with GPUs and without."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from matrix.process import run as runner
from matrix.process.sandbox import Sandbox

SECRETS = {
    "GITHUB_TOKEN": "s", "ACTIONS_RUNTIME_TOKEN": "s", "ACTIONS_ID_TOKEN_REQUEST_URL": "s", "RUNNER_TOKEN": "s", "GITHUB_ENV": "s",
    "GITHUB_PATH": "s", "GITHUB_OUTPUT": "s", "GITHUB_STEP_SUMMARY": "s", "HF_TOKEN": "s", "SSH_AUTH_SOCK": "s", "AWS_SECRET_ACCESS_KEY": "s",
    "UV_INDEX_PRIVATE_PASSWORD": "s", "UV_PUBLISH_TOKEN": "s", "PIP_INDEX_URL": "https://me:s@index.example/simple",
    "GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "http.extraheader", "GIT_CONFIG_VALUE_0": "s",
    "GIT_CONFIG_KEY_1": "url.https://mirror.example/.insteadOf", "GIT_CONFIG_VALUE_1": "https://github.com/",
}  # fmt: skip


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """Variables with secrets, as a job of a workflow has them; they are set."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return SECRETS


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    folder = tmp_path / "kept"
    folder.mkdir()
    return folder


@pytest.fixture
def sandbox(kept: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("HOME", str(kept))
    return runner.find_sandbox([kept])


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: a)'\necho 'GPU 1: NVIDIA H200 (UUID: b)'\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

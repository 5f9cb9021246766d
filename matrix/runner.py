"""The only door to subprocesses: the installer, the measured interpreter and the question how many GPUs there are."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from packaging.specifiers import SpecifierSet

from matrix.environments import Environment
from matrix.errors import EnvironmentFailedError
from matrix.model import Job
from matrix.pipconfig import uv_variables

ROOT: Final = Path(__file__).parents[1]
_DESCRIBE = """
import json, platform
from importlib.metadata import PackageNotFoundError, version
names = ("torch", "transformers", "deepspeed", "accelerate")
found = {"python": platform.python_version()}
for name in names:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        found[name] = ""
print(json.dumps(found))
"""


def count_gpus() -> int:
    """How many NVIDIA GPUs the driver lists and CUDA_VISIBLE_DEVICES leaves; 0 without a driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    listed = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False).stdout
    gpus = sum(line.startswith("GPU ") for line in listed.splitlines())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return gpus if visible is None else min(gpus, len([name for name in visible.split(",") if name.strip()]))


def describe(interpreter: Path) -> dict[str, str]:
    """The versions that `interpreter` has: python, torch, transformers, deepspeed, accelerate; empty when missing.

    Raises EnvironmentFailedError when it does not run at all, or lacks one of the first three.
    """
    try:
        answer = subprocess.run([interpreter, "-c", _DESCRIBE], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        words = getattr(error, "stderr", None) or str(error)
        raise EnvironmentFailedError(str(interpreter), words) from error
    versions: dict[str, str] = json.loads(answer.stdout)
    if missing := [name for name in ("torch", "transformers", "deepspeed") if not versions[name]]:
        words = f"not installed there: {', '.join(missing)}"
        raise EnvironmentFailedError(str(interpreter), words)
    return versions


def _torch_backend(environment: Environment, variables: Mapping[str, str]) -> list[str]:
    """Ask for the CPU build of torch where no NVIDIA driver is, unless a local folder of wheels offers a build."""
    folders = [Path(folder) for folder in variables.get("UV_FIND_LINKS", "").split(",") if folder]
    local = any(next(folder.glob(f"torch-{environment.torch}+*.whl"), None) for folder in folders)
    if local or "UV_TORCH_BACKEND" in variables or shutil.which("nvidia-smi"):
        return []
    return ["--torch-backend", "cpu"]


def _uv(arguments: Sequence[str], environment: str, variables: Mapping[str, str]) -> None:
    from uv import find_uv_bin  # not needed to measure an interpreter as it is

    done = subprocess.run(
        [find_uv_bin(), *arguments], env=dict(variables), stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise EnvironmentFailedError(environment, done.stderr.strip())


def install(environment: Environment, venv: Path) -> Path:
    """Make `venv` hold the environment's pins and return its interpreter; what is there already is not fetched again.

    Raises EnvironmentFailedError with the resolver's own words.
    """
    variables = {**uv_variables(os.environ), "DS_BUILD_OPS": "0"}
    interpreter = venv / "bin" / "python"
    if not interpreter.exists():
        here = ".".join(map(str, sys.version_info[:3]))
        python = sys.executable if here in SpecifierSet(environment.python) else environment.python
        _uv(["venv", "--quiet", "--python", python, str(venv)], environment.id, variables)
    backend = _torch_backend(environment, variables)
    target = ["pip", "install", "--quiet", "--python", str(interpreter), *backend]
    _uv([*target, *environment.requirements], environment.id, variables)
    return interpreter


def _probe_variables() -> dict[str, str]:
    """The variables of the measured process: only this project on the path, and none of an outer launcher's."""
    launcher = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "PYTHONHOME"}
    kept = {name: value for name, value in os.environ.items() if name not in launcher}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}


def _absolute(interpreter: Path) -> Path:
    """The interpreter as another folder can name it; a bare name is looked for on PATH, as a shell does."""
    return Path(shutil.which(interpreter) or interpreter).absolute()


def _end(process: subprocess.Popen[str]) -> None:
    """End the probe and every rank that it forked; a launcher is asked first, its ranks are in sessions of their own."""
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with process:  # closes its pipes and waits for it
        pass


def probe(job: Job, interpreter: Path, log: Path, launcher: Sequence[str] = ()) -> Generator[dict[str, Any]]:
    """Run `job` in `interpreter`; its messages as they come (see `matrix.probe.__main__`), all other output in `log`.

    Closing the iterator, or Ctrl-C, ends the probe with all its ranks. A `launcher` such as `-m torch.distributed.run`
    starts the ranks instead of the probe, and ends them.
    """
    with TemporaryDirectory(prefix="zero3-job-") as folder, log.open("a", encoding="utf-8") as stderr:
        file = Path(folder) / "job.json"
        file.write_text(json.dumps(asdict(job)))
        process = subprocess.Popen(
            [_absolute(interpreter), *launcher, "-m", "matrix.probe", file],
            env={**_probe_variables(), "TMPDIR": folder},  # what an ended probe leaves goes with the folder
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the host alone, which then ends the probe
        )
        try:
            for line in process.stdout or ():
                yield json.loads(line)
        finally:
            _end(process)

"""The only door to subprocesses: the installer, the measured interpreter and the question how many GPUs there are."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, Final, TextIO

from packaging.specifiers import SpecifierSet
from pydantic import TypeAdapter, ValidationError

from matrix.environments.pip_config import uv_variables
from matrix.environments.spec import Environment
from matrix.errors import EnvironmentFailedError, GitError, NoIndexError
from matrix.job import Job
from matrix.process.messages import messages
from matrix.process.sandbox import TRIAL, Sandbox, detect

ROOT: Final = Path(__file__).parents[2]
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

_VERSIONS = TypeAdapter(dict[str, str])
_PATIENCE: Final = 1800.0
"""Seconds that untrusted code has to be built in."""


@dataclass(frozen=True)
class Setup:
    """Whose code runs: `root` is the checkout whose probe measures, `sandbox` confines what is not trusted."""

    root: Path = ROOT
    sandbox: Sandbox | None = None


OURS: Final = Setup()


def count_gpus() -> int:
    """How many NVIDIA GPUs the driver lists and CUDA_VISIBLE_DEVICES leaves; 0 without a driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    listed = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False).stdout
    gpus = sum(line.startswith("GPU ") for line in listed.splitlines())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return gpus if visible is None else min(gpus, len([name for name in visible.split(",") if name.strip()]))


def sandbox(protected: Iterable[Path]) -> Sandbox:
    """The strongest confinement that works here, with `protected` folders read-only; raises SandboxError."""

    def works(tried: Sandbox) -> bool:
        try:
            confined([sys.executable, "-I", "-c", TRIAL], tried)
        except EnvironmentFailedError:
            return False
        return True

    return detect(works, os.environ, protected)


def confined(
    arguments: Sequence[str], sandbox: Sandbox, writable: Sequence[Path] = (), *, network: bool = False
) -> str:
    """Run untrusted code to its end and return what it prints; it may write to `writable` and a folder of its own.

    Raises EnvironmentFailedError with the end of what it says on stderr when it fails or takes half an hour.
    """
    with (
        TemporaryDirectory(prefix="zero3-job-", ignore_cleanup_errors=True) as name,
        TemporaryFile() as out,
        TemporaryFile() as err,
    ):
        folder = Path(name)
        sandbox.give(folder)
        process = subprocess.Popen(
            sandbox.command(arguments, [folder, *writable], network=network),
            env={**sandbox.variables(uv_variables(os.environ), folder), "DS_BUILD_OPS": "0"},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            failed = process.wait(timeout=_PATIENCE) != 0
        except subprocess.TimeoutExpired:
            failed = True
        finally:
            _kill(process)
        if failed:
            err.seek(max(0, err.seek(0, os.SEEK_END) - 4000))
            raise EnvironmentFailedError(Path(arguments[0]).name, err.read(4000).decode(errors="replace").strip())
        out.seek(0)
        return out.read(100_000).decode(errors="replace")


def _described(interpreter: Path, sandbox: Sandbox | None) -> str:
    if sandbox:
        return confined([str(_absolute(interpreter)), "-c", _DESCRIBE], sandbox)  # runs the .pth files installed there
    try:
        return subprocess.run([interpreter, "-c", _DESCRIBE], capture_output=True, text=True, check=True).stdout
    except OSError as error:
        words = f"it cannot be run ({error.strerror or error}): --python names an interpreter, as in FOLDER/bin/python"
        raise EnvironmentFailedError(str(interpreter), words) from error
    except subprocess.CalledProcessError as error:
        words = error.stderr.strip() or f"it ended with exit status {error.returncode} and without a word"
        raise EnvironmentFailedError(str(interpreter), words) from error


def describe(interpreter: Path, sandbox: Sandbox | None = None) -> dict[str, str]:
    """The versions that `interpreter` has: python, torch, transformers, deepspeed, accelerate; empty when missing.

    Raises EnvironmentFailedError when it does not run at all, or lacks one of the first three.
    """
    try:
        versions = _VERSIONS.validate_json(_described(interpreter, sandbox))
    except ValidationError as error:
        raise EnvironmentFailedError(str(interpreter), "it does not tell its versions") from error
    if missing := [name for name in ("torch", "transformers", "deepspeed") if not versions.get(name)]:
        words = f"not installed there: {', '.join(missing)}"
        raise EnvironmentFailedError(str(interpreter), words)
    return versions


def git(arguments: Sequence[str], settings: Mapping[str, str] | None = None) -> str:
    """What git prints. `settings` are its configuration, which no list of processes shows; raises GitError."""
    first = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
    numbered = list(enumerate((settings or {}).items(), start=first))
    variables = {f"GIT_CONFIG_KEY_{n}": name for n, (name, _) in numbered}
    variables |= {f"GIT_CONFIG_VALUE_{n}": value for n, (_, value) in numbered}
    variables |= {"GIT_CONFIG_COUNT": str(first + len(numbered)), "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", *arguments],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise GitError(" ".join(arguments[:1]), f"cannot be started: {error.strerror or error}") from error
    if done.returncode:
        raise GitError(" ".join(arguments), done.stderr.strip()[-2000:])
    return done.stdout


def _torch_backend(environment: Environment, variables: Mapping[str, str]) -> list[str]:
    """Ask for the CPU build of torch where no NVIDIA driver is, unless a local folder of wheels offers a build."""
    folders = [Path(folder) for folder in variables.get("UV_FIND_LINKS", "").split(",") if folder]
    local = any(next(folder.glob(f"torch-{environment.torch}+*.whl"), None) for folder in folders)
    if local or "UV_TORCH_BACKEND" in variables or shutil.which("nvidia-smi"):
        return []
    return ["--torch-backend", "cpu"]


def _uv(arguments: Sequence[str], environment: str, variables: Mapping[str, str]) -> None:
    done = subprocess.run(
        [find_uv(), *arguments], env=dict(variables), stderr=subprocess.PIPE, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise EnvironmentFailedError(environment, done.stderr.strip())


def find_uv() -> str:
    """The installer's binary."""
    from uv import find_uv_bin  # not needed to measure an interpreter as it is

    return str(find_uv_bin())


def pip_install(environment: Environment, interpreter: Path, variables: Mapping[str, str]) -> list[str]:
    """What uv is asked, but for the requirements, to install `environment` for `interpreter`."""
    backend = _torch_backend(environment, variables)
    return ["pip", "install", "--quiet", "--python", str(interpreter), *backend]


def install(environment: Environment, venv: Path, variables: Mapping[str, str] | None = None) -> Path:
    """Make `venv` hold the environment's pins and return its interpreter; what is there already is not fetched again.

    `variables` are the installer's, this process's without. Raises EnvironmentFailedError with the resolver's words.
    """
    variables = {**uv_variables(os.environ if variables is None else variables), "DS_BUILD_OPS": "0"}
    interpreter = venv / "bin" / "python"
    if not interpreter.exists():
        here = ".".join(map(str, sys.version_info[:3]))
        python = sys.executable if here in SpecifierSet(environment.python) else environment.python
        _uv(["venv", "--quiet", "--python", python, str(venv)], environment.id, variables)
    if environment.requirements:
        target = pip_install(environment, interpreter, variables)
        _uv([*target, *environment.requirements], environment.id, variables)
    return interpreter


def _probe_variables(setup: Setup, folder: Path) -> dict[str, str]:
    """The variables of the measured process: only this project on the path, no hub, and none of an outer launcher's."""
    launcher = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "PYTHONHOME"}
    outer = setup.sandbox.variables(os.environ, folder) if setup.sandbox else os.environ
    kept = {name: value for name, value in outer.items() if name not in launcher}
    # What an ended probe leaves goes with the folder.
    own = {"TMPDIR": str(folder), "HF_MODULES_CACHE": str(folder / "modules"), "PYTHONPATH": str(setup.root)}
    return {**kept, **own, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}


_ALONE: Final = {"CUDA_VISIBLE_DEVICES": "", "PYTHONHASHSEED": "0"}
"""For what needs no GPU and says the same every time: upstream's messages name the items of sets."""


_HUB: Final = dict.fromkeys(("HF_HUB_CACHE", "TRANSFORMERS_CACHE"), str(ROOT / "matrix" / "probe" / "hub"))
"""What stands in for a hub: the catalog's verdicts do not depend on what somebody's cache holds. 4.x prefers the second."""


def _absolute(interpreter: Path) -> Path:
    """The interpreter as another folder can name it; a bare name is looked for on PATH, as a shell does."""
    return Path(shutil.which(interpreter) or interpreter).absolute()


def _end(process: subprocess.Popen[Any]) -> None:
    """End the probe and every rank that it forked; a launcher is asked first, its ranks are in sessions of their own."""
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=10)
    _kill(process)


def _kill(process: subprocess.Popen[Any]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with process:  # closes its pipes and waits for it
        pass


def _start(job: Job, arguments: Sequence[str], folder: Path, stderr: TextIO, setup: Setup) -> subprocess.Popen[str]:
    file = folder / "job.json"
    file.write_text(json.dumps(asdict(job)))
    command = [*arguments, "-m", "matrix.probe", str(file)]
    if setup.sandbox:
        setup.sandbox.give(folder)
        command = setup.sandbox.command(command, [folder])
    return subprocess.Popen(
        command,
        env={**_probe_variables(setup, folder), **({} if job.target else _HUB)},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C reaches the host alone, which then ends the probe
    )


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str], limit: float | None) -> Iterator[None]:
    """End the process when it is no longer read; with a `limit`, what is not trusted, at once and after these seconds."""
    timer = threading.Timer(limit or 0, os.killpg, [process.pid, signal.SIGKILL])
    timer.daemon = True
    try:
        if limit:
            timer.start()
        yield
    finally:
        timer.cancel()
        (_kill if limit else _end)(process)


def probe(
    job: Job, interpreter: Path, log: Path, launcher: Sequence[str] = (), setup: Setup = OURS
) -> Generator[dict[str, Any]]:
    """Run `job` in `interpreter`; its messages as they come (see `matrix.probe.__main__`), all other output in `log`.

    Closing the iterator, or Ctrl-C, ends the probe with all its ranks. A `launcher` such as `-m torch.distributed.run`
    starts the ranks instead of the probe, and ends them. Raises BadMessageError for what is no message.
    """
    limit = min(3600, 600 + job.timeout * len(job.tasks)) if setup.sandbox else None
    with (
        TemporaryDirectory(prefix="zero3-job-", ignore_cleanup_errors=bool(setup.sandbox)) as folder,
        log.open("a", encoding="utf-8") as stderr,
    ):
        process = _start(job, [str(_absolute(interpreter)), *launcher], Path(folder), stderr, setup)
        with _ended(process, limit):
            yield from messages(process.stdout or io.StringIO())


def ask(topic: str, question: Mapping[str, Any], interpreter: Path, log: Path) -> Generator[dict[str, Any]]:
    """What the probe answers to a question about `topic` in `interpreter`, object by object; its other output is in `log`.

    Ends early when the probe dies. Raises BadMessageError for what is no JSON object.
    """
    with TemporaryDirectory(prefix="zero3-job-") as folder, log.open("a", encoding="utf-8") as stderr:
        file = Path(folder) / "question.json"
        file.write_text(json.dumps(question))
        with file.open() as stdin:
            process = subprocess.Popen(
                [str(_absolute(interpreter)), "-m", "matrix.probe.discovery", topic],
                env={**_probe_variables(OURS, Path(folder)), **_HUB, **_ALONE},
                cwd=folder,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            with _ended(process, None):
                yield from messages(process.stdout or io.StringIO())


def last_line(log: Path) -> str:
    """The last line of a log file."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 10_000))
        lines = file.read().decode(errors="replace").splitlines()
    return lines[-1] if lines else "(empty)"


def newest_release(package: str) -> str:
    """The newest version of `package` that the configured index has; raises NoIndexError."""
    question = [find_uv(), "pip", "compile", "--quiet", "--no-deps", "--no-annotate", "--no-header", "-"]
    done = subprocess.run(
        question, input=package, env=uv_variables(os.environ), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NoIndexError(package, done.stderr)
    return done.stdout.strip().partition("==")[2]

"""Starts the probe in the measured interpreter and passes on what it prints."""

import json
import os
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter

from matrix.environments.interpreter import find_interpreter
from matrix.job import Job
from matrix.model import CaseKey, Precision
from matrix.process.messages import MESSAGE, Message, read_messages
from matrix.process.run import ROOT, Command, running
from matrix.process.sandbox import Sandbox
from matrix.process.temporary import temporary_folder

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Setup:
    """Whose code runs: `root` is the checkout whose probe measures, `sandbox` confines what is not trusted."""

    root: Path = ROOT
    sandbox: Sandbox | None = None

    @cached_property
    def checks(self) -> frozenset[str]:
        """The checks that this probe can do; a job with any other makes it fail. Without the folder it is an old one."""
        folder = self.root / "matrix" / "checks"
        return frozenset(file.stem for file in folder.glob("*.py")) if folder.is_dir() else _FIRST_CHECKS

    @cached_property
    def precisions(self) -> frozenset[str]:
        """The precisions that this probe can measure in. One from before there were several would take any for float32."""
        model = (self.root / "matrix" / "model.py").read_text(encoding="utf-8")
        return frozenset(Precision) if "class Precision(" in model else frozenset({Precision.FLOAT32})

    def knows(self, key: CaseKey) -> bool:
        """Returns whether this probe can measure a case."""
        return key.check in self.checks and key.precision in self.precisions


OURS: Final = Setup()
_FIRST_CHECKS: Final = frozenset({"load", "save"})
"""The checks of commits from before `matrix/checks`."""
_LAUNCHER: Final = frozenset({"RANK", "LOCAL_RANK", "WORLD_SIZE", "PYTHONHOME"})
"""Variables of an outer launcher, which the probe must not see."""
_DETERMINISTIC: Final = {"CUDA_VISIBLE_DEVICES": "", "PYTHONHASHSEED": "0"}
"""For questions that need no GPU and must have the same answer every time: upstream's messages name the items of sets."""
_HUB: Final = dict.fromkeys(("HF_HUB_CACHE", "TRANSFORMERS_CACHE"), str(ROOT / "matrix" / "probe" / "hub"))
"""Replaces a hub: the catalog's verdicts must not depend on what somebody's cache holds. 4.x prefers the second."""


def run_job(job: Job, interpreter: Path, log: Path, setup: Setup = OURS) -> Generator[Message]:
    """Runs `job` in `interpreter` and yields the probe's messages as they come; all its other output goes to `log`.

    Closing the iterator, or Ctrl-C, ends the probe with all its ranks. Raises BadMessageError for any other line.
    """
    # Untrusted code could wait for ever; what is trusted has the watchdog of the rank groups.
    limit = min(3600, 600 + job.timeout * len(job.tasks)) if setup.sandbox else None
    with (
        temporary_folder("job") as folder,
        log.open("a", encoding="utf-8") as stderr,
    ):
        arguments = _arguments(job, interpreter, folder, setup.sandbox)
        command = Command(arguments, folder, {**_variables(setup, folder), **({} if job.target else _HUB)})
        with running(command, stderr, limit=limit) as stdout:
            yield from read_messages(stdout, MESSAGE)


def ask(
    topic: str, question: Mapping[str, Any], interpreter: Path, log: Path, answers: TypeAdapter[_Answer]
) -> Generator[_Answer]:
    """Asks the probe in `interpreter` a question about `topic` and yields its answers; its other output goes to `log`.

    Ends early when the probe dies. Raises BadMessageError for a line that is not one of these `answers`.
    """
    with temporary_folder("job") as folder, log.open("a", encoding="utf-8") as stderr:
        file = folder / "question.json"
        file.write_text(json.dumps(question))
        arguments = [str(find_interpreter(interpreter)), "-m", "matrix.probe.discovery", topic]
        command = Command(arguments, folder, {**_variables(OURS, folder), **_HUB, **_DETERMINISTIC})
        with file.open() as stdin, running(command, stderr, stdin) as stdout:
            yield from read_messages(stdout, answers)


def last_line(log: Path) -> str:
    """Returns the last line of a log file."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 10_000))
        lines = file.read().decode(errors="replace").splitlines()
    return lines[-1] if lines else "(empty)"


def _arguments(job: Job, interpreter: Path, folder: Path, sandbox: Sandbox | None) -> list[str]:
    """Writes the job to `folder` and returns the arguments that do it, confined by `sandbox`."""
    file = folder / "job.json"
    file.write_text(json.dumps(asdict(job)))
    arguments = [str(find_interpreter(interpreter)), "-m", "matrix.probe", str(file)]
    if sandbox is None:
        return arguments
    sandbox.give(folder)
    return sandbox.command(arguments, [folder])


def _variables(setup: Setup, folder: Path) -> dict[str, str]:
    """Returns the probe's variables: `matrix` alone on the path, no hub, and none of an outer launcher's."""
    outer = setup.sandbox.variables(os.environ, folder) if setup.sandbox else os.environ
    kept = {name: value for name, value in outer.items() if name not in _LAUNCHER}
    # What a killed probe leaves behind is deleted with the folder.
    own = {
        "TMPDIR": str(folder),
        "HF_MODULES_CACHE": str(folder / "modules"),
        "PYTHONPATH": str(_stage(setup.root, folder)),
    }
    return {**kept, **own, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}


def _stage(root: Path, folder: Path) -> Path:
    """Makes a folder in `folder` that holds `matrix` of `root` and nothing else, and returns it.

    What is installed next to `matrix` is the host's: it would be imported in place of what is measured.
    """
    stage = folder / "only-matrix"
    stage.mkdir()
    (stage / "matrix").symlink_to((root / "matrix").absolute())
    return stage

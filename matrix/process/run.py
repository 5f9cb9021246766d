"""Starts processes, confines those that are not trusted, and ends them: the only door to `subprocess`."""

import contextlib
import io
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final, TextIO

from matrix.errors import EnvironmentFailedError, GitError, OutputError
from matrix.process.sandbox import TRIAL, Sandbox, detect_sandbox
from matrix.process.temporary import temporary_folder

ROOT: Final = Path(__file__).parents[2]
_PIPE: Final = subprocess.PIPE
_SUPERVISOR: Final = Path(__file__).with_name("supervisor.py")
_MARK: Final = "ZERO3_STARTED_AS"
"""A variable that tells the descendants of a process from all others. Untrusted code could drop it: it has namespaces."""
_PATIENCE: Final = 1.0
"""Seconds between two looks at whether the supervisor of a process is still there."""
_CONFINED_SECONDS: Final = 1800.0
"""Seconds after which untrusted code that is built is ended."""


def run(
    command: Sequence[str], variables: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs a trusted command to its end and returns its exit status and what it printed; raises OSError.

    `variables` are its whole environment; without them it has that of this process.
    """
    with _started(
        command, env=variables, stdin=_PIPE, stdout=_PIPE, stderr=_PIPE, text=True, errors="replace"
    ) as supervised:
        out, err = supervised.communicate(stdin)
    return subprocess.CompletedProcess(command, supervised.process.returncode, out, err)


@dataclass(frozen=True)
class Command:
    """A command to start: its `arguments`, the `folder` that it works in, and `variables`, its whole environment."""

    arguments: Sequence[str]
    folder: Path
    variables: Mapping[str, str]


@contextlib.contextmanager
def running(
    command: Command, stderr: TextIO, stdin: int | TextIO = subprocess.DEVNULL, limit: float | None = None
) -> Iterator[IO[str]]:
    """Starts `command` and yields its stdout; ends it, with all that it started, when the block is left.

    With a `limit`, for what is not trusted, it is killed after that many seconds, and at once when the block is left.
    """
    with (
        _started(
            command.arguments,
            env=command.variables,
            cwd=command.folder,
            stdin=stdin,
            stdout=_PIPE,
            stderr=stderr,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches the host alone, which then ends the process
        ) as supervised,
        _ended(supervised, limit),
    ):
        yield supervised.process.stdout or io.StringIO()


@dataclass
class _Supervised:
    """A process that `supervisor.py` ends, with all that it started, once `hang_up` is called or this process is gone."""

    process: subprocess.Popen[Any]
    lifeline: int
    mark: str

    def communicate(self, stdin: str) -> tuple[str, str]:
        """Sends `stdin` and returns what the process printed on stdout and on stderr, when it has ended."""
        words: str | None = stdin
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.communicate(words, timeout=_PATIENCE)
            words = None
            # Orphans of a supervisor that was killed hold its pipes.
            if self.process.poll() is not None:
                self.end_marked()

    def end_marked(self) -> None:
        """Kills what has the mark of this process, when there is no supervisor any more that would."""
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if f"{_MARK}={self.mark}".encode() in environ.read_bytes().split(b"\0"):
                    os.kill(int(environ.parent.name), signal.SIGKILL)

    def hang_up(self) -> None:
        """Has everything killed."""
        lifeline, self.lifeline = self.lifeline, -1
        if lifeline >= 0:
            os.close(lifeline)


@contextlib.contextmanager
def _started(arguments: Sequence[str], **options: Any) -> Iterator[_Supervised]:
    """Starts a process and kills all of it that still runs when the block ends; `options` are those of `subprocess`.

    Raises OSError where it cannot be started.
    """
    (lifeline, held), (reports, report) = os.pipe(), os.pipe()
    script = [sys.executable, "-I", "-S", str(_SUPERVISOR), str(lifeline), str(report)]
    options["env"] = {**(options.get("env") or os.environ), _MARK: (mark := secrets.token_hex(16))}
    try:
        process = subprocess.Popen([*script, *arguments], pass_fds=(lifeline, report), **options)
    finally:
        os.close(lifeline)
        os.close(report)
    supervised = _Supervised(process, held, mark)
    try:
        with os.fdopen(reports, "rb") as told:
            if number := told.read():
                raise OSError(int(number), os.strerror(int(number)), arguments[0])
        yield supervised
    finally:
        _kill(supervised)


@contextlib.contextmanager
def _ended(supervised: _Supervised, limit: float | None) -> Iterator[None]:
    """Ends the process when the block is left; see `running` for the `limit`."""
    timer = threading.Timer(limit or 0, supervised.hang_up)
    # A thread that still waits must not keep this process from ending.
    timer.daemon = True
    try:
        if limit:
            timer.start()
        yield
    finally:
        timer.cancel()
        # Untrusted code gets no time to react: asking first would let it fork once more.
        if not limit:
            _ask_to_end(supervised.process)


def _ask_to_end(process: subprocess.Popen[Any]) -> None:
    """Asks a process and all that it forked to end, and gives them a moment."""
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=10)


def _kill(supervised: _Supervised) -> None:
    """Kills a process and all that it started, and waits for it."""
    supervised.hang_up()
    with supervised.process as process:  # which closes its pipes and waits
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            # The supervisor itself is stopped or overwhelmed.
            process.kill()
            process.wait()
    if process.returncode < 0:  # which may be its command's end, or its own
        supervised.end_marked()


def run_confined(
    arguments: Sequence[str],
    sandbox: Sandbox,
    writable: Sequence[Path] = (),
    variables: Mapping[str, str] | None = None,
    *,
    network: bool = False,
) -> str:
    """Runs untrusted code to its end and returns what it prints; it may write to `writable` and a folder of its own.

    It sees those of `variables`, or of this process's without, that the sandbox allows. Raises EnvironmentFailedError
    with the end of its stderr when it fails or takes half an hour.
    """
    with (
        temporary_folder("job") as folder,
        # Files and no pipes: a pipe that nobody reads blocks its writer, and one that is read may never end.
        TemporaryFile() as out,
        TemporaryFile() as err,
    ):
        sandbox.give(folder)
        with _started(
            sandbox.command(arguments, [folder, *writable], network=network),
            env={**sandbox.variables(os.environ if variables is None else variables, folder), "DS_BUILD_OPS": "0"},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        ) as supervised:
            try:
                failed = supervised.process.wait(timeout=_CONFINED_SECONDS) != 0
            except subprocess.TimeoutExpired:
                failed = True
        if failed:
            # The end only: untrusted code may have written gigabytes.
            err.seek(max(0, err.seek(0, os.SEEK_END) - 4000))
            raise EnvironmentFailedError(Path(arguments[0]).name, err.read(4000).decode(errors="replace").strip())
        out.seek(0)
        return out.read(100_000).decode(errors="replace")


def find_sandbox(protected: Iterable[Path]) -> Sandbox:
    """Returns the strongest sandbox that works here, with `protected` folders read-only; raises SandboxError."""

    def works(tried: Sandbox) -> bool:
        try:
            run_confined([sys.executable, "-I", "-c", TRIAL], tried)
        except EnvironmentFailedError:
            return False
        return True

    return detect_sandbox(works, os.environ, protected)


def choose_sandbox(choice: str, out: Path, venvs: Path) -> Sandbox | None:
    """Returns what confines the code under test, None where it is trusted (`off`).

    The folder of results, that of the logs next to it, and `venvs` are made, and are read-only inside. Raises
    SandboxError or OutputError.
    """
    if choice == "off":
        return None
    kept = (out, out.resolve().parent / "logs", venvs)
    try:
        for folder in kept:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(Path(error.filename), error) from error
    return find_sandbox((*kept, ROOT))


def run_git(arguments: Sequence[str], settings: Mapping[str, str] | None = None) -> str:
    """Runs git and returns what it prints; raises GitError.

    `settings` are its configuration, passed as variables, so that no list of processes shows them.
    """
    # After those of the user, whose mirrors and proxies are set the same way.
    first = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
    numbered = list(enumerate((settings or {}).items(), start=first))
    variables = {f"GIT_CONFIG_KEY_{n}": name for n, (name, _) in numbered}
    variables |= {f"GIT_CONFIG_VALUE_{n}": value for n, (_, value) in numbered}
    variables |= {"GIT_CONFIG_COUNT": str(first + len(numbered)), "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = run(["git", *arguments], {**os.environ, **variables})
    except OSError as error:
        raise GitError(" ".join(arguments[:1]), f"cannot be started: {error.strerror or error}") from error
    if done.returncode:
        raise GitError(" ".join(arguments), done.stderr.strip()[-2000:])
    return done.stdout

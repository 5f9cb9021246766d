"""What can go wrong for a user: one class per cause, with its exit code and what to do next."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from matrix.text import make_printable

USAGE = 2
INFRASTRUCTURE = 3
CANCELLED = 130
_FEW = 6
"""So many known names are all listed."""


def closest(name: str, known: Sequence[str]) -> tuple[str, ...]:
    """Returns at most three of `known`: those that begin with `name` first, then those that hold it or are spelled like it.

    Case and a glob's stars do not count; an id such as `model_type:ClassName` may match by either part.
    """
    wanted = name.strip("*").lower()
    parts = {part.lower(): whole for whole in known for part in (whole, *whole.split(":"))}
    begin = [whole for whole in known if whole.lower().startswith(wanted)]
    inside = [whole for whole in known if wanted in whole.lower()]
    alike = [parts[match] for match in difflib.get_close_matches(wanted, parts, n=3)]
    return tuple(dict.fromkeys([*begin, *inside, *alike]))[:3]


def _once_more(kind: type[BaseException], *message: str) -> BaseException:
    return kind.__new__(kind, *message)


class MatrixError(Exception):
    """A failure that the user can act on; `str()` is the whole message for them."""

    exit_code: ClassVar[int] = USAGE

    def __reduce__(self) -> tuple[Any, ...]:
        """Makes copies for other processes without `__init__`, whose arguments are not those of the message."""
        return _once_more, (type(self), *self.args), vars(self) or None


class UnknownNameError(MatrixError):
    """One or more unknown names; the message has all that are known, or the close matches of each where those are many.

    `see_all` is a command that shows all of many.
    """

    def __init__(self, what: str, names: Iterable[str], known: Iterable[str], see_all: str = "") -> None:
        self.what, self.names, self.known, self.see_all = what, tuple(names), tuple(known), see_all
        super().__init__("\n".join(self._line(name) for name in self.names))

    def _line(self, name: str) -> str:
        return f"unknown {self.what} {name!r}: {self._hint(closest(name, self.known))}"

    def _hint(self, close: Sequence[str]) -> str:
        if len(self.known) <= _FEW:
            return f"choose from {', '.join(dict.fromkeys((*close, *self.known)))}"
        if close:
            return f"did you mean {', '.join(close)}?"
        return f"choose from {', '.join(self.known[:3])}, ..." + (
            f"; `{self.see_all}` shows all" if self.see_all else ""
        )


class NotMeasuredError(UnknownNameError):
    """Results without an architecture of that name; the message has close matches, and what answers for any model."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__("architecture", [name], known)

    def _line(self, name: str) -> str:
        target = name if ":" in name or name == name.lower() else f"transformers:{name}"  # a class alone is no target
        close = f" ({self._hint(closest(name, self.known))})" if self.known else ""
        return f"these results have no architecture {name!r}{close}; `zero3 check {target}` measures it in your environment"


class ConflictingOptionsError(MatrixError):
    """Two options that contradict each other."""

    def __init__(self, first: str, second: str, why: str) -> None:
        super().__init__(f"{first} and {second} cannot be used together: {why}")


class DataFileError(MatrixError):
    """A data or settings file has mistakes; all of them are listed."""

    def __init__(self, path: Path, problems: Iterable[str]) -> None:
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))


class IncompleteInstallationError(MatrixError):
    """A data file that belongs to this project is missing from the wheel or the copy that is installed."""

    exit_code = INFRASTRUCTURE

    def __init__(self, path: Path, *, checkout: bool) -> None:
        repair = f"`git restore {path}` brings it back" if checkout else f"it is {path}. Install zero3-matrix again"
        super().__init__(f"a file of zero3-matrix is missing: {repair}")


class NotACheckoutError(MatrixError):
    """A command that writes a part of this project, which is installed and not a checkout."""

    def __init__(self, part: str, instead: str) -> None:
        super().__init__(f"only a checkout of zero3-matrix has {part} to write, and this one is installed: {instead}")


class NotEnoughGpusError(MatrixError):
    """More ranks than GPUs: NCCL cannot put two ranks on one."""

    def __init__(self, world_size: int, gpus: int) -> None:
        has = {0: "no NVIDIA GPU", 1: "only 1 GPU"}.get(gpus, f"{gpus} GPUs")
        advice = "use --device cpu" + (f", or --world-size {gpus}" if gpus >= 2 else "")
        super().__init__(
            f"--device cuda with {world_size} ranks needs {world_size} GPUs, but this machine has {has}: {advice}"
        )


class WorldSizeError(MatrixError):
    """A world of one rank: ZeRO-3 shards nothing there, so a check would prove nothing."""

    def __init__(self, world_size: int) -> None:
        super().__init__(f"--world-size {world_size}: ZeRO-3 needs at least 2 ranks to shard anything")


class OtherSchemaError(MatrixError):
    """A results file was written by a newer version of this project, with records that this one does not know."""

    def __init__(self, path: Path, found: object, newest: int) -> None:
        super().__init__(
            f"{path} has records of schema {found}, but this version reads schemas up to {newest}: "
            "update this project, or choose another --out"
        )


class OlderSchemaError(MatrixError):
    """A results file of an older schema: it stays readable, and nothing is added to it."""

    def __init__(self, path: Path, found: int, newest: int) -> None:
        super().__init__(
            f"{path} has records of schema {found}, but this version writes schema {newest}: "
            "choose another --out, or move the old results away"
        )


class ResultsError(MatrixError):
    """A results file that cannot be read as one."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")


class NoResultsError(MatrixError):
    """A folder without results."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"the folder '{path}' has no results (*.jsonl): run `zero3 run` or `nox -s zero3_matrix` first, or pass the folder that was its --out"
        )


class NoHistoryError(MatrixError):
    """A folder that does not exist, so it is not a history."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"there is no folder '{path}': a history is a folder with one subfolder for each nightly run, such as 2026-11-22"
        )


class UnknownSourceError(MatrixError):
    """A path that advice cannot be read from."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"'{path}' {what}. Use --from with a folder of results (`zero3 run` writes one), a history "
            "(a folder of records for each nightly run) or its database, or the address of a published site"
        )


class CancelledError(MatrixError):
    """Ctrl-C; `kept` says what is kept of the command, and how to continue."""

    exit_code = CANCELLED

    def __init__(self, kept: str = "") -> None:
        super().__init__(f"interrupted: {kept}" if kept else "interrupted")


class PinError(MatrixError):
    """Neither a version, nor an address, nor a folder of sources."""

    def __init__(self, variable: str, pin: str) -> None:
        super().__init__(f"{variable}={pin} is not a version, a git+https://...@commit address or a source folder")


class BusyError(MatrixError):
    """Another run is writing the same results."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is being written by another run: wait for it, or choose another --out")


class EnvironmentFailedError(MatrixError):
    """The pins cannot be installed or imported: nothing was measured, so it is never a regression."""

    exit_code = INFRASTRUCTURE

    def __init__(self, environment: str, words: str) -> None:
        self.words = words
        super().__init__(f"{environment} could not be measured:\n{words}")


class NoIndexError(MatrixError):
    """The package index does not answer, or does not have the package."""

    exit_code = INFRASTRUCTURE

    def __init__(self, package: str, words: str) -> None:
        super().__init__(f"cannot determine the newest release of {package}: {' '.join(words.split())[:300]}")


class ProbeDiedError(MatrixError):
    """The probe ended without saying that it had finished."""

    exit_code = INFRASTRUCTURE

    def __init__(self, environment: str, log: Path, last: str) -> None:
        super().__init__(f"{environment}: the probe ended early.\nIts log is {log}, the last line: {last}")


class OutputError(MatrixError):
    """Results cannot be written: no space, no permission, no such folder."""

    exit_code = INFRASTRUCTURE

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"cannot write {path}: {error.strerror or error}; earlier results are kept")


class SandboxError(MatrixError):
    """Untrusted code cannot be confined as asked for."""

    exit_code = INFRASTRUCTURE

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem} (for code that you trust, --sandbox off measures without a sandbox)")


class BadMessageError(MatrixError):
    """The probe sent an invalid message: code under test forged it, or its version differs."""

    exit_code = INFRASTRUCTURE

    def __init__(self, problem: str) -> None:
        super().__init__(f"the probe sent an invalid message: {problem}; earlier results are kept")


class GitError(MatrixError):
    """A git command failed."""

    exit_code = INFRASTRUCTURE

    def __init__(self, doing: str, words: str) -> None:
        super().__init__(f"git {doing}: {words or 'it failed without a message'}")


class BadPlanError(MatrixError):
    """A plan that is not valid, so nothing is measured."""

    def __init__(self, name: str, problem: str, command: str) -> None:
        super().__init__(f"not a valid {name}: {problem}; `{command}` writes one")


class NoSuchTargetError(MatrixError):
    """Neither a file, a folder, a module with a class, a model type, nor the name of a model in a hub."""

    def __init__(self, target: str) -> None:
        what = "pass a folder or file with a config.json, module:ClassName, a model type such as llama"
        super().__init__(f"there is no {target!r}: {what}, or a model of a hub such as deepseek-ai/DeepSeek-V3")


class RemoteCodeError(MatrixError):
    """Code of a hub's repository that is to be run: only its configuration is downloaded."""

    def __init__(self, repository: str) -> None:
        super().__init__(
            f"--trust-remote-code runs code from a folder, and no code is downloaded here: `hf download {repository} "
            "config.json *.py --local-dir FOLDER` downloads it. Read it, then pass FOLDER. "
            "Without --trust-remote-code, the model of the installed transformers is measured"
        )


class PickleTargetError(MatrixError):
    """A pickled checkpoint: reading it would run whatever is in it."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is a pickle, and reading one runs the code in it, so it was not read. "
            "The check needs no weights: pass the model's folder or its config.json"
        )


class NoConfigError(MatrixError):
    """A folder without a config.json."""

    def __init__(self, folder: Path) -> None:
        adapter = (folder / "adapter_config.json").exists()
        hint = "it has an adapter only, so pass the base model" if adapter else "save_pretrained writes one"
        super().__init__(f"{folder} has no config.json, so the model is unknown: {hint}")


class NotAConfigError(MatrixError):
    """A file that is not the configuration of a model."""

    def __init__(self, path: Path | str, problem: str) -> None:
        super().__init__(f"{path} is not the configuration of a model: {problem}")


class BadIndexError(MatrixError):
    """A checkpoint whose index cannot be followed: `from_pretrained` would fail on the model's own files."""

    def __init__(self, index: Path, problem: str) -> None:
        alone = "The check needs no weights: pass the config.json itself to check without them"
        super().__init__(make_printable(f"{index} {problem}. {alone}"))


class RejectedTargetError(MatrixError):
    """The measured interpreter cannot make a model of what was named."""

    def __init__(self, target: str, words: str) -> None:
        super().__init__(f"{target} cannot be checked: {make_printable(words[:2000])}")

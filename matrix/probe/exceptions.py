"""Exceptions as records: type, message and the deepest frame that belongs to upstream."""

import traceback
from pathlib import Path

from matrix.model import Failure

_OURS = Path(__file__).parents[1]
UPSTREAM = ("transformers", "deepspeed", "accelerate", "safetensors")
MESSAGE_LIMIT = 2000


def _location(filename: str) -> str | None:
    """Returns the path from the upstream package on, or None when the file belongs to no upstream package."""
    if Path(filename).is_relative_to(_OURS):  # wherever this project is installed
        return None
    parts = Path(filename).parts
    roots = [index for index, part in enumerate(parts) if part in UPSTREAM]
    return "/".join(parts[roots[-1] :]) if roots else None


def deepest_frame(frames: list[tuple[str, int, str]]) -> str:
    """Returns the last of `frames` (file, line, function; outermost first) in upstream code, otherwise the last one."""
    upstream = [(_location(file), line, function) for file, line, function in frames if _location(file)]
    if upstream:
        file, line, function = upstream[-1]
        return f"{file}:{line} in {function}"
    return f"{Path(frames[-1][0]).name}:{frames[-1][1]} in {frames[-1][2]}" if frames else ""


def failure(error: BaseException) -> Failure:
    """Returns `error` as a record can hold it."""
    frames = [(f.filename, f.lineno or 0, f.name) for f in traceback.extract_tb(error.__traceback__)]
    return Failure(type(error).__name__, str(error)[:MESSAGE_LIMIT], deepest_frame(frames))


def explain(error: BaseException) -> str:
    """Returns the type and the message of `error` on one line; of a failed import what it failed for."""
    while isinstance(error, ImportError) and isinstance(error.__cause__, ImportError):
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]

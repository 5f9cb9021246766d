"""Looks whether the files are there that the index of a checkpoint names; no weights are read."""

import json
from pathlib import Path
from typing import Final

from matrix.errors import BadIndexError

_TAKEN: Final = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
"""What `from_pretrained` takes of a folder, the first that is there: an index that comes later may well name nothing."""
_LIMIT: Final = 64 << 20
"""Bytes of an index. Even one of a hundred thousand tensors has far fewer."""


def require_files(folder: Path) -> None:
    """Raises BadIndexError where the index of the checkpoint in `folder` cannot be read, or names a file that is not there."""
    index = next((folder / name for name in _TAKEN if (folder / name).is_file()), None)
    if index is None or index.suffix != ".json":
        return
    missing = [name for name in _read_names(index) if not (folder / name).is_file()]
    if missing:
        files = "a file that is" if len(missing) == 1 else f"{len(missing)} files that are"
        raise BadIndexError(index, f"names {files} not there: {', '.join(missing[:3])}{', ...' if missing[3:] else ''}")


def _read_names(index: Path) -> list[str]:
    """Returns the files that an index names, sorted."""
    try:
        with index.open("rb") as opened:
            values = json.loads(opened.read(_LIMIT))
        return sorted({str(name) for name in values["weight_map"].values()})
    except OSError as error:
        raise BadIndexError(index, f"cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise BadIndexError(
            index, "is not the index of a checkpoint: it has no weight_map of names to files"
        ) from error

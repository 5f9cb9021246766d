"""Reads a model's configuration file, which may be anybody's: as JSON within limits; nothing is run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from matrix.errors import NotAConfigError

CONFIG_LIMIT: Final = 4 << 20
"""Bytes of a file. The largest that models have are those with the 21,841 labels of ImageNet twice, below 2 MiB."""
_DEPTH: Final = 100
"""Objects and lists within each other. Those of models have fewer than ten; Python's own limit is at about a thousand,
which what works on the values later would reach."""


def read_config(file: Path) -> dict[str, Any]:
    """Returns the configuration in `file`; raises NotAConfigError for anything else."""
    if file.suffix == ".py":
        raise NotAConfigError(file, f"it is a Python module: pass {file.stem}:ClassName, from its folder")
    try:
        with file.open("rb") as opened:
            content = opened.read(CONFIG_LIMIT + 1)  # no file is too large to be rejected
    except OSError as error:
        raise NotAConfigError(file, error.strerror or str(error)) from error
    if len(content) > CONFIG_LIMIT:
        raise NotAConfigError(file, f"it has more than {CONFIG_LIMIT >> 20} MiB")
    return parse_config(content, file)


def parse_config(content: bytes, name: Path | str) -> dict[str, Any]:
    """Returns the configuration that a file's `content` is; raises NotAConfigError, which says `name`, for anything else."""
    try:
        values = json.loads(content.decode(), object_hook=_special_float)
    except RecursionError as error:
        raise NotAConfigError(name, f"it is not JSON, or nested more than {_DEPTH} deep") from error
    except ValueError as error:
        raise NotAConfigError(name, f"it is not JSON ({error})") from error
    if _is_deeper(values, _DEPTH):
        raise NotAConfigError(name, f"it is nested more than {_DEPTH} deep")
    if not isinstance(values, dict):
        raise NotAConfigError(name, "it is JSON, but not an object")
    if not isinstance(values.get("model_type"), str) and "auto_map" not in values:
        raise NotAConfigError(name, "it has no model_type, which save_pretrained always writes")
    return values


def _special_float(values: dict[str, Any]) -> Any:
    """Converts NaN and infinities, which transformers 5 writes as tables."""
    return float(str(values["__float__"])) if values.keys() == {"__float__"} else values


def _is_deeper(values: Any, limit: int) -> bool:
    level = [values]
    for _ in range(limit):
        level = [child for one in level for child in _children(one)]
    return bool(level)


def _children(value: Any) -> Iterator[Any]:
    """Yields the objects and lists directly in `value`, an object or a list."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (child for child in inside if isinstance(child, dict | list))

"""What is stated of a model besides its architecture: the precision that it is trained in, and what is not measured.

PURE: no input or output.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from matrix.checks import DEFAULT
from matrix.measure.tasks import parse_choices
from matrix.model import Precision

_DTYPES: Final = {
    **{precision.dtype: precision for precision in Precision},
    **{precision.value: precision for precision in Precision},
    "float": Precision.FLOAT32,
    "half": Precision.FP16,
}
_QUANTIZED: Final = ("quantization_config", "compression_config")
_KERNELS: Final = ("attn_implementation", "_attn_implementation")


@dataclass(frozen=True)
class Stated:
    """The precisions to measure and why, what is not measured, and whether the model is quantized."""

    precisions: tuple[Precision, ...] = DEFAULT.precisions
    why: str = ""
    left_out: tuple[str, ...] = ()
    quantized: bool = False


def read_stated(config: Mapping[str, Any], asked: str = "", *, adapter: bool = False) -> Stated:
    """Reads what `config` states. The user may have asked for other precisions; `adapter` says whether its folder has one.

    Raises UnknownNameError for a precision that does not exist.
    """
    precisions, why = _choose(config, asked)
    quantization = [_method(value) for value in _find(config, _QUANTIZED)]
    kernels = [value for value in _find(config, _KERNELS) if isinstance(value, str)]
    left_out = [f"quantization ({quantization[0]})"] if quantization else []
    left_out += [f"attention kernels ({kernels[0]})"] if kernels else []
    left_out += ["adapters (adapter_config.json)"] if adapter else []
    return Stated(precisions, why, tuple(left_out), bool(quantization))


def _choose(config: Mapping[str, Any], asked: str) -> tuple[tuple[Precision, ...], str]:
    if asked:
        return parse_choices("precision", Precision, asked), "as --precision says"
    for place, values in (("", config), ("text_config.", config.get("text_config"))):
        for name in ("dtype", "torch_dtype"):
            if isinstance(values, Mapping) and (stated := values.get(name)):
                known = _read_precision(stated)
                why = f"its config.json has {place}{name} {_describe(stated)}"
                return ((known,), why) if known else (DEFAULT.precisions, f"{why}, which names no precision")
    return DEFAULT.precisions, "no config.json names a dtype" if not config else "its config.json names no dtype"


def _read_precision(stated: Any) -> Precision | None:
    """Returns the precision that is stated, for all parts of a model alike where each has its own."""
    values = stated.values() if isinstance(stated, Mapping) else [stated]
    found = {_DTYPES.get(str(value).removeprefix("torch.")) for value in values if value is not None}
    return found.pop() if len(found) == 1 else None


def _describe(stated: Any) -> str:
    if isinstance(stated, Mapping):
        return ", ".join(f"{value} for {part or 'the rest'}" for part, value in stated.items())
    return str(stated)


def _find(config: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[Any]:
    """Yields what `config`, or a configuration inside it, has by one of `names`; nothing for null."""
    for name, value in config.items():
        if name in names:
            if value is not None:
                yield value
        elif isinstance(value, Mapping):
            yield from _find(value, names)


def _method(stated: Any) -> str:
    return str(stated.get("quant_method", "of its own")) if isinstance(stated, Mapping) else "of its own"

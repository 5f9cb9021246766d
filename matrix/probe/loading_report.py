"""What `from_pretrained` says of a load: kept without asking the model class for it, and in a form that records can have."""

import functools
import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from matrix.check_protocol import LoadingReport
from matrix.model import ReportLimit, ReportPart
from matrix.probe.compat import find_report_limits
from matrix.probe.exceptions import MESSAGE_LIMIT


@dataclass
class Heard:
    """The report of the last load; None before one, and for a class that does not load by `PreTrainedModel`."""

    report: LoadingReport | None = None


@contextmanager
def listening() -> Iterator[Heard]:
    """Keeps what the loader says of a load, for as long as the context lasts.

    Heard where every model class calls it in the end: Qwen2.5-Omni's own `from_pretrained` takes the pair of a model and its report
    for the model.
    """
    base = importlib.import_module("transformers").PreTrainedModel
    heard, stock = Heard(), base.__dict__["from_pretrained"]

    def from_pretrained(cls: Any, /, *args: Any, output_loading_info: bool = False, **options: Any) -> Any:
        model, info = stock.__func__(cls, *args, output_loading_info=True, **options)
        heard.report = make_report(info, find_report_limits())
        return (model, info) if output_loading_info else model

    functools.update_wrapper(from_pretrained, stock.__func__)
    base.from_pretrained = classmethod(from_pretrained)
    try:
        yield heard
    finally:
        base.from_pretrained = stock


def make_report(info: Mapping[str, Iterable[Any]], limits: Mapping[ReportPart, ReportLimit]) -> LoadingReport:
    """Returns what `output_loading_info` gave, without the parts that no load under ZeRO-3 tells the truth about."""
    # Sets in some releases and lists in others; records must not depend on their order.
    told = LoadingReport(**{part: tuple(sorted({_name(entry) for entry in info.get(part, ())})) for part in ReportPart})
    untrue = [part for part, limit in limits.items() if limit is not ReportLimit.ON_RANK_0_ONLY]
    return replace(told, **dict.fromkeys(untrue, ()))


def _name(entry: Any) -> str:
    """Returns a key or a message on one line; a mismatched key comes with two shapes."""
    name = entry if isinstance(entry, str) else entry[0]
    return " ".join(str(name).split())[:MESSAGE_LIMIT]

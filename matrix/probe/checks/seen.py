"""What one rank saw in one check."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from matrix.check_protocol import LoadingReport
from matrix.model import Tensors
from matrix.probe.checkpoint.judge import Reference


@dataclass(frozen=True)
class Seen:
    """What one rank saw in one check: a `matrix.check_protocol.CheckResult`, and what is the same for every check."""

    flaws: Mapping[str, Any] = field(default_factory=dict)
    report: LoadingReport | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    at_stage_0: tuple[str, ...] | None = None
    """Tensors that the control rounds too; None where it was not tried."""
    partitioned: bool = True
    tensors: Tensors = field(default_factory=Tensors)
    seconds: float = 0.0
    load_seconds: float = 0.0
    named: tuple[str, ...] = ()


def count_tensors(references: Iterable[Reference]) -> Tensors:
    """Returns how many tensors of each sort there are in all of them."""
    buffers = parameters = computed = 0
    for reference in references:
        parameters += len(reference.parameters)
        buffers += len(reference.expected) - len(reference.parameters)
        computed += len(reference.nonpersistent) - len(reference.outputs)
    return Tensors(buffers, parameters, computed)

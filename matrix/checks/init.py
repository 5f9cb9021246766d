"""Makes a new model from its configuration, as training from scratch does."""

from collections.abc import Sequence
from typing import Any

from matrix.check_protocol import CheckDescription, Checkpoints, CheckWords, Maker, Trial, Way


def prepare(_checkpoints: Checkpoints) -> Sequence[Way]:
    """Needs no checkpoint but its configuration."""
    return [Way()]


def make(maker: Maker, way: Way) -> Any:
    """Returns a new model."""
    return maker.build(way)


CHECK = CheckDescription(
    words=CheckWords(
        verb="initialise",
        doing="initialising",
        call="from_config",
        meaning="a new model is made from its configuration, and its initial values are compared with those of one process",
    ),
    trial=Trial(prepare, make, loads=False),
)

"""What the ranks of a group reported of one task."""

from dataclasses import dataclass, field
from typing import Any

from matrix.model import Check, Failure


@dataclass
class Observation:
    """By check, each rank's `seen` or `failure` message, None where it sent nothing.

    `ended` says how ranks that sent nothing ended: by rank, a signal or exit, or the frame in which it hung.
    """

    outcomes: dict[Check, list[dict[str, Any] | None]]
    ended: dict[int, Failure] = field(default_factory=dict)

    @property
    def raised(self) -> bool:
        """Whether any rank raised in any check."""
        return any(message and "failure" in message for outcomes in self.outcomes.values() for message in outcomes)

    @property
    def symmetric(self) -> bool:
        """Whether every rank raised the same at the same place."""
        failures = [[message and message.get("failure") for message in outcomes] for outcomes in self.outcomes.values()]
        return all(message == ranks[0] for ranks in failures for message in ranks)

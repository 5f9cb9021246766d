"""How the test server fails, on demand."""

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tests.support.github.description import Answer, Request


class Kind(StrEnum):
    """How a request fails: an answer with `status`, no answer, half of one, the state before the last write, a write
    that is confirmed and then forgotten, or an archive that does not tell its size."""

    STATUS = "status"
    DROP = "drop"
    CUT = "cut"
    STALE = "stale"
    FORGET = "forget"
    UNSIZED = "unsized"


@dataclass
class Fault:
    """The next `times` requests of `method` to a path like `path` fail, once `after` others went well.

    `applied` says whether a write was carried out before it failed. Paths at the archives' host begin with /blobs.
    """

    method: str
    path: str
    kind: Kind = Kind.STATUS
    status: int = 502
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "Server Error"
    applied: bool = False
    times: int = 1
    after: int = 0

    def copy(self) -> "Fault":
        """The same fault, uncounted."""
        return replace(self)

    def due(self, request: Request) -> bool:
        """Whether `request` is to fail; counts."""
        if request.method != self.method or not re.search(self.path, request.path) or not self.times:
            return False
        if self.after:
            self.after -= 1
            return False
        self.times -= 1
        return True


class DroppedError(Exception):
    """The connection ends here, after the first `sent` part of the answer."""

    def __init__(self, sent: Answer | None = None) -> None:
        self.sent = sent

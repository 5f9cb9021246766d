"""PURE. A history as lines for a terminal: its nights, and the files that do not count.

PURE: no input or output.
"""

from collections.abc import Iterable, Iterator

from matrix.history.database import Built
from matrix.history.queries import Night, Refused
from matrix.text import printable


def built_line(built: Built) -> str:
    """What building did."""
    why = f"; the database {built.anew}" if built.anew else ""
    return f"{built.read} of {built.files} record files read{why}"


def history_lines(nights: Iterable[Night], refused: Iterable[Refused]) -> Iterator[str]:
    """A line for every night with how its cells ended, then every file that was refused and why."""
    for night in nights:
        counts = {"complete": night.complete, "failed": night.failed, "incomplete": night.incomplete}
        counts["refused"] = night.refused
        yield f"{night.day}: " + ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    for file in refused:
        yield f"refused: {printable(file.reason)}"

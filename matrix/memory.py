"""How much memory the processes of a session hold, as Linux tells."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def held(session: int) -> float:
    """MiB that all processes of the `session` hold now; a page that several of them hold counts once."""
    return sum(map(_share, _processes(session)))


def _processes(session: int) -> Iterator[Path]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile
            if os.getsid(int(folder.name)) == session:
                yield folder


def _share(process: Path) -> float:
    """MiB of a process, of pages that others hold too its share."""
    try:
        found = re.search(r"^Pss: +(\d+) kB", (process / "smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0

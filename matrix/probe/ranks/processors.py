"""How many processes work side by side on a machine: as many as there are processors, and as memory allows."""

import os
import re
from pathlib import Path

BUILDER_BYTES = 2 << 30
"""What a process may need that builds a tiny checkpoint: its own pages, those of the zygote it shares."""

_AVAILABLE = re.compile(r"^MemAvailable:\s+(\d+) kB", re.MULTILINE)


def count_builders(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Returns how many processes build checkpoints at the same time, at least one."""
    # Not os.cpu_count: with a cpuset or taskset that counts processors which this process may not use.
    processors = len(os.sched_getaffinity(0))
    return max(1, min(processors, _available_bytes(meminfo) // BUILDER_BYTES))


def _available_bytes(meminfo: Path) -> int:
    """Returns the memory that new processes can have; enough for any number where the kernel does not say."""
    try:
        found = _AVAILABLE.search(meminfo.read_text(encoding="ascii"))
    except OSError:
        found = None
    return int(found[1]) << 10 if found else 1 << 50

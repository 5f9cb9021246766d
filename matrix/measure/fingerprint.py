"""Identifies the code that measures."""

import hashlib
from pathlib import Path
from typing import Final

from matrix.process.run import ROOT

_CODE: Final = (
    *(f"matrix/{name}.py" for name in ("model", "verdicts", "check_protocol", "job")),
    "matrix/checks/**/*.py",
    "matrix/probe/**/*.py",
)
"""What the probe and the checks are made of."""


def compute_probe_hash(root: Path = ROOT) -> str:
    """Returns a digest of the code that measures: verdicts of different probes are not the same measurement."""
    digest = hashlib.sha256()
    found = (file for pattern in _CODE for file in root.glob(pattern))  # an older commit of ours has not all of them
    for file in sorted(found):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return f"sha256:{digest.hexdigest()}"

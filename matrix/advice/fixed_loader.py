"""Where the fixed loader is, for advice that users can follow wherever this project is installed."""

from pathlib import Path
from typing import Final

FIXED_LOADER: Final = str(Path(__file__).parents[1] / "probe" / "zero3_buffers.py")
"""The file that a user copies next to a training script."""

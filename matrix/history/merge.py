"""Adding to a night that may hold the same cells already: nothing is replaced, and nothing is left out."""

import shutil
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from matrix.history.archive import AlreadyKeptError, archive


def merge(run: Path, history: Path, night: date, label: str) -> tuple[Path, ...]:
    """Keep the results files of `run` in the `night` as `archive` does; returns where each is kept.

    What the night holds of the same name with another content stays, and the file is kept beside it, with `label` in
    its name: the history counts the better of them. The same call again adds nothing. Raises what `archive` raises.
    """
    try:
        return archive(run, history, night)
    except AlreadyKeptError as error:
        taken = {file.name.removesuffix(".gz") for file in error.files}
    with TemporaryDirectory(prefix="zero3-merge-") as name:
        renamed = Path(name)
        for file in sorted(run.glob("*.jsonl")):
            shutil.copy2(file, renamed / (f"{file.stem}.{label}.jsonl" if file.name in taken else file.name))
        return archive(renamed, history, night)


def holds(history: Path, night: date, cell: str) -> bool:
    """Whether the `night` has any file of the `cell` of that name."""
    folder = history / night.isoformat()
    return any(folder.glob(f"{cell}.jsonl*")) or any(folder.glob(f"{cell}.*.jsonl*"))

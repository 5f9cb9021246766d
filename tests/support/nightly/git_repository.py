"""Real git repositories on this disk, and what their branch of records holds."""

import subprocess
from pathlib import Path


def git(*arguments: str | Path, at: Path) -> str:
    """Runs git in the folder `at` and returns what it prints."""
    return subprocess.run(["git", *arguments], cwd=at, check=True, capture_output=True, text=True).stdout.strip()


def files(remote: Path) -> list[str]:
    """Returns the paths on the branch of records."""
    return git("ls-tree", "-r", "--name-only", "history", at=remote).splitlines()

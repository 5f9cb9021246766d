"""Fetches the branch with the records of every nightly run, and adds to it; it is never rewritten.

It shares no commit with the project's own branches. To add to it, take the newest commit, put files on top and push. When
somebody else was faster, all of that is done again, so that no order of two writers loses anything.
"""

import base64
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from bot.text import clip
from matrix.errors import GitError, MatrixError, OutputError
from matrix.history.archive import LOCK
from matrix.history.files import HALF
from matrix.process.run import run_git
from matrix.process.temporary import temporary_folder

TRIES: Final = 6
"""How often adding is tried when others push at the same time."""
_ATTRIBUTES: Final = "* -text -eol -ident -filter -working-tree-encoding\n"


class ForeignFilesError(MatrixError):
    """The folder for a history has files that no fetch put there."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        shown = ", ".join([*map(clip, names[:3]), *["..."] * (len(names) > 3)])
        super().__init__(
            f"{folder} has files that do not come from the records, and fetching would delete them: {shown}. "
            "Choose a new or empty folder with --history, or move these files away"
        )


@dataclass(frozen=True)
class HistoryBranch:
    """The branch `name` of the repository at `address`. Its files are in `folder`, and git's own next to it.

    `token` may read and, to add, write the repository; without one git's own settings decide. Commits are by `author`.
    """

    address: str
    folder: Path
    name: str = "history"
    token: str = field(default="", repr=False)
    author: str = "zero3-matrix"

    def fetch(self) -> bool:
        """Makes `folder` equal to the branch at this moment; returns whether there is such a branch.

        Raises GitError, OutputError, and ForeignFilesError where the folder has anything that this did not put there.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            foreign = self._foreign()
        except OSError as error:
            raise OutputError(self.folder, error) from error
        if foreign:
            raise ForeignFilesError(self.folder, foreign)
        self._git("init", "--quiet")
        self._ignore_attributes()
        exists = self._exists()
        if exists:
            self._git("fetch", "--quiet", "--depth", "1", self.address, self._ref)
            self._git("checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
        else:  # what was committed and not pushed is no part of it
            self._git("symbolic-ref", "HEAD", "refs/heads/none")
            self._git("update-ref", "-d", "refs/heads/none")
            self._git("read-tree", "--empty")
        self._git("clean", "--quiet", "-ffdx")
        return exists

    def newest(self) -> date | None:
        """Returns the day of the newest run on the branch, without fetching any record; None without one. Raises GitError."""
        if not self._exists():
            return None
        with temporary_folder("clone") as folder:
            name = str(folder)
            clone = ("clone", "--quiet", "--bare", "--depth", "1", "--filter=blob:none", "--single-branch")
            run_git([*clone, "--branch", self.name, self.address, name], self._settings)
            entries = run_git(["--git-dir", name, "ls-tree", "--name-only", "HEAD"]).splitlines()
        return max((night for entry in entries if (night := _night(entry))), default=None)

    def add(self, store: Callable[[Path], Collection[Path]], message: str) -> bool:
        """Pushes the files that `store` adds to the folder that it gets; returns whether there were new ones.

        `store` is called once for every try, each time with what the branch has then. Raises GitError when all fail.
        """
        for left in reversed(range(TRIES)):
            self.fetch()
            self._git("add", "--force", "--", *(str(file.resolve()) for file in store(self.folder)))
            # An earlier try whose answer was lost has pushed them already.
            if not self._git("status", "--porcelain", "--untracked-files=no").strip():
                return False
            self._git("commit", "--quiet", "--no-verify", "--message", message)
            try:
                self._git("push", "--quiet", "--no-verify", self.address, f"HEAD:{self._ref}")
            except GitError:
                # Any failed push is tried again: git does not say in a stable way that somebody else was faster.
                if not left:
                    raise
            else:
                break
        return True

    @property
    def _ref(self) -> str:
        return f"refs/heads/{self.name}"

    @property
    def _settings(self) -> dict[str, str]:
        own = {
            "user.name": self.author,
            "user.email": f"{self.author}@users.noreply.github.com",
            "core.autocrlf": "false",
            "core.symlinks": "false",
            "gc.auto": "0",
        }
        if not self.token:
            return own
        secret = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        return {**own, f"http.{self.address}.extraheader": f"AUTHORIZATION: basic {secret}"}

    def _exists(self) -> bool:
        return bool(run_git(["ls-remote", "--heads", self.address, self._ref], self._settings).strip())

    def _foreign(self) -> list[str]:
        """Returns the files in `folder` that are not as an earlier fetch, or `add`, left them."""
        if not self._own.is_dir():
            return sorted(path.name for path in self.folder.iterdir() if path.name != LOCK)
        leftovers = (f"--exclude=/{LOCK}", f"--exclude=*{HALF}")
        listed = self._git("ls-files", "-z", "--others", "--modified", *leftovers).split("\0")
        gone = self._git("ls-files", "-z", "--deleted").split("\0")
        return [name for name in listed if name and name not in gone]

    @property
    def _own(self) -> Path:
        """The folder of git's own files. It is next to `folder`, in which every folder is a nightly run."""
        return Path(f"{self.folder.resolve()}.fetched")

    def _ignore_attributes(self) -> None:
        """Makes git change no file: this one wins over any .gitattributes on the branch."""
        (self._own / "info").mkdir(exist_ok=True)
        (self._own / "info" / "attributes").write_text(_ATTRIBUTES)

    def _git(self, *arguments: str) -> str:
        """Runs git on `folder` and returns what it prints."""
        return run_git(
            ["--git-dir", str(self._own), "--work-tree", str(self.folder.resolve()), *arguments], self._settings
        )


def _night(name: str) -> date | None:
    with suppress(ValueError):
        night = date.fromisoformat(name)
        return night if night.isoformat() == name else None
    return None

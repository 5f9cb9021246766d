"""Finds out whether a pull request edits the code that measures it: then its results could say anything.

PURE: no input or output.
"""

from typing import Final

from bot.github.types import CommitComparison
from bot.text import Sentence, clip
from matrix.text import join_lines

WORKFLOWS: Final = ".github/"
_IDLE: Final = ("bot/", "docs/", "tests/")
"""Folders of this project that no machine which measures runs or imports. All else could change what it uploads."""


def find_measuring_edit(compared: CommitComparison, *, own: bool) -> Sentence:
    """Returns what a change edits of the code that measures it; empty when that is nothing.

    A workflow of its repository always measures it; with `own`, for this project, nearly every file does.
    """
    paths = [path for file in compared.change.files for path in file.paths]
    edited = next((path for path in paths if path.startswith(WORKFLOWS) or (own and _measures(path))), "")
    if edited:
        return ("it edits code that measures it, ", clip(join_lines(edited)))
    return () if compared.whole else ("it changes more files than GitHub compares at once",)


def _measures(path: str) -> bool:
    return not path.startswith(_IDLE) and not ("/" not in path and path.endswith(".md"))

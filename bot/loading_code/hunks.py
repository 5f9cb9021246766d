"""PURE. The hunks of a patch: which lines of code changed, and inside which function, class or assignment each stands.

PURE: no input or output.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from bot.loading_code.docstrings import prose
from bot.loading_code.enclosing_symbols import Scopes, guarded, opened

LONGEST: Final = 500
"""Characters of a line that are looked at: what people write is shorter, and every pattern stays fast."""

_HUNK: Final = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,\d+)? @@ ?(.*)")
_BRACKETS: Final = re.compile(r"[\s()\[\]{},;]*")
_COMMENT: Final = re.compile(r"\s*(#|//|$)")
_SAYS_NOTHING: Final = re.compile(
    r"""[\s()\[\]{},]*(->.*)?:?"""
    r"""|\s*(\w+ = )?[frFR]?"[^"]* [^"]* [^"]* [^"]*"[,)]*"""
    r"""|\s*(logger\.\w+|warnings\.warn|log_dist|print_rank_0)\(.*"""
)
"""Lone brackets, the end of a signature, a sentence in quotes, a message to a log."""

_TRAILING: Final = re.compile(r"""^((?:[^#"']|"[^"]*"|'[^']*')*?)\s*#.*$""")

_KEY: Final = re.compile(r"( {4}| {8})\"([a-z][a-z0-9_]*)\":")
_PARAMETER: Final = re.compile(r"^(\s*\**\w+)\s*:[^=]+?(\s=.*)?,$")


@dataclass(frozen=True)
class Line:
    """One line of a hunk: `sign` is `+`, `-` or a space, `number` where it stands, or stood, in the new file."""

    sign: str
    text: str
    number: int


@dataclass(frozen=True)
class Hunk:
    """Lines that change together. `section` is what git writes behind the second `@@`: the nearest symbol above."""

    section: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Edit:
    """One changed line of code, and the names around it, outermost first; bot.loading_code.enclosing_symbols.UNKNOWN where they cannot be told.

    `inside` are the lines that open a block or a bracket around it, as far as the hunk shows them. `body` is all that the
    line guards, if it is a condition that calls nothing and has no other branch, and empty where that cannot be told.
    """

    symbols: tuple[str, ...]
    line: int
    text: str
    inside: tuple[str, ...] = ()
    body: tuple[str, ...] = ()


def hunks(patch: str) -> tuple[Hunk, ...]:
    """The hunks of `patch`, as GitHub and `git diff` write it; none where it is not a patch."""
    return tuple(_hunks([line.removesuffix("\r") for line in patch.split("\n")]))


def _hunks(lines: Sequence[str]) -> Iterator[Hunk]:
    starts = [index for index, line in enumerate(lines) if _HUNK.match(line)]
    for start, end in pairwise([*starts, len(lines)]):
        if head := _HUNK.match(lines[start]):
            yield Hunk(head[2], tuple(_numbered(lines[start + 1 : end], int(head[1]))))


def _numbered(lines: Sequence[str], number: int) -> Iterator[Line]:
    for line in lines:
        sign = line[:1] or " "
        if sign in "+- ":
            yield Line(sign, line[1:].expandtabs(4)[:LONGEST], number)
            number += sign != "-"


def edits(hunk: Hunk, *, python: bool = True) -> tuple[Edit, ...]:
    """The changed lines of code of `hunk`: no comments, docstrings, imports, blank lines, lone brackets or messages.

    There are none where only comments and annotations of parameters differ. What is removed is judged by the lines
    before the change, what is added by the lines after it.
    """
    side = _side if python else _plain
    old, new = (list(side(hunk, sign)) for sign in "-+")
    if [_bare(edit) for edit in old] == [_bare(edit) for edit in new]:
        return ()
    return tuple(sorted([*old, *new], key=lambda edit: edit.line))


def _bare(edit: Edit) -> str:
    """A line with its indentation, without the comment behind it and, for a parameter, its annotation."""
    return _PARAMETER.sub(r"\1\2,", _TRAILING.sub(r"\1", edit.text).rstrip())


def _plain(hunk: Hunk, sign: str) -> Iterator[Edit]:
    code = [line for line in hunk.lines if line.sign in (" ", sign) and not _COMMENT.match(line.text)]
    for line, inside in zip(code, opened([line.text for line in code]), strict=True):
        if line.sign == sign and not _BRACKETS.fullmatch(line.text):
            yield Edit((), line.number, line.text, inside)


def _side(hunk: Hunk, sign: str) -> Iterator[Edit]:
    lines = [line for line in hunk.lines if line.sign in (" ", sign)]
    words = prose([line.text for line in lines])
    code = [line for line, is_prose in zip(lines, words, strict=True) if not is_prose and not _COMMENT.match(line.text)]
    texts = [line.text for line in code]
    around = Scopes(hunk.section, texts).names()
    for index, (line, names, inside) in enumerate(zip(code, around, opened(texts), strict=True)):
        if line.sign == sign and names is not None and not _SAYS_NOTHING.fullmatch(line.text):
            yield Edit(names, line.number, line.text, inside, guarded(texts, index))


def new_entries(hunk: Hunk) -> tuple[str, ...]:
    """The keys that `hunk` adds to a dictionary of a few levels at most; none where it does anything else as well."""
    if any(line.sign == "-" for line in hunk.lines):
        return ()
    keys: list[str] = []
    for added, run in groupby(hunk.lines, key=lambda line: line.sign == "+"):
        code = [line.text for line in run if not _COMMENT.match(line.text)] if added else []
        found = [key for text in code if (key := _KEY.match(text))]
        if code and not _KEY.match(code[0]):
            return ()
        keys += [key[2] for key in found if key[1] == found[0][1]]
    return tuple(keys)

"""Parses the hunks of a patch: which lines of code changed, and what function, class or assignment encloses each.

PURE: no input or output.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from bot.loading_code.docstrings import mark_docstrings
from bot.loading_code.enclosing_symbols import Scopes, find_guarded, find_openers

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
class HunkLine:
    """One line of a hunk: `sign` is `+`, `-` or a space, `number` its place in the new file."""

    sign: str
    text: str
    number: int


@dataclass(frozen=True)
class Hunk:
    """Lines that change together. `section` is what git writes behind the second `@@`: the nearest symbol above."""

    section: str
    lines: tuple[HunkLine, ...]


@dataclass(frozen=True)
class ChangedLine:
    """One changed line of code, and the names around it, outermost first; `enclosing_symbols.UNKNOWN` for one not known.

    `inside` are the lines that open a block or a bracket around it, as far as the hunk shows them. `body` is all that the
    line guards, if it is a condition that calls nothing and has no other branch, and empty where that is not known.
    """

    symbols: tuple[str, ...]
    line: int
    text: str
    inside: tuple[str, ...] = ()
    body: tuple[str, ...] = ()


def parse_hunks(patch: str) -> tuple[Hunk, ...]:
    """Returns the hunks of `patch`, as GitHub and `git diff` write it; none where it is not a patch."""
    return tuple(_hunks([line.removesuffix("\r") for line in patch.split("\n")]))


def _hunks(lines: Sequence[str]) -> Iterator[Hunk]:
    starts = [index for index, line in enumerate(lines) if _HUNK.match(line)]
    for start, end in pairwise([*starts, len(lines)]):
        if head := _HUNK.match(lines[start]):
            yield Hunk(head[2], tuple(_numbered(lines[start + 1 : end], int(head[1]))))


def _numbered(lines: Sequence[str], number: int) -> Iterator[HunkLine]:
    for line in lines:
        sign = line[:1] or " "
        if sign in "+- ":
            yield HunkLine(sign, line[1:].expandtabs(4)[:LONGEST], number)
            number += sign != "-"


def find_changed_lines(hunk: Hunk, *, python: bool = True) -> tuple[ChangedLine, ...]:
    """Returns the changed lines of code of `hunk`: no comments, docstrings, imports, blank lines, brackets or messages.

    There are none where only comments and annotations of parameters differ. What is removed is read with the
    lines before the change, what is added with the lines after it.
    """
    find = _in_python if python else _in_text
    old, new = (list(find(hunk, sign)) for sign in "-+")
    if [_bare(edit) for edit in old] == [_bare(edit) for edit in new]:
        return ()
    return tuple(sorted([*old, *new], key=lambda edit: edit.line))


def _bare(edit: ChangedLine) -> str:
    """Returns a line with its indentation, without the comment behind it and, for a parameter, its annotation."""
    return _PARAMETER.sub(r"\1\2,", _TRAILING.sub(r"\1", edit.text).rstrip())


def _in_text(hunk: Hunk, sign: str) -> Iterator[ChangedLine]:
    code = [line for line in hunk.lines if line.sign in (" ", sign) and not _COMMENT.match(line.text)]
    for line, inside in zip(code, find_openers([line.text for line in code]), strict=True):
        if line.sign == sign and not _BRACKETS.fullmatch(line.text):
            yield ChangedLine((), line.number, line.text, inside)


def _in_python(hunk: Hunk, sign: str) -> Iterator[ChangedLine]:
    lines = [line for line in hunk.lines if line.sign in (" ", sign)]
    words = mark_docstrings([line.text for line in lines])
    code = [line for line, is_prose in zip(lines, words, strict=True) if not is_prose and not _COMMENT.match(line.text)]
    texts = [line.text for line in code]
    around = Scopes(hunk.section, texts).names()
    for index, (line, names, inside) in enumerate(zip(code, around, find_openers(texts), strict=True)):
        if line.sign == sign and names is not None and not _SAYS_NOTHING.fullmatch(line.text):
            yield ChangedLine(names, line.number, line.text, inside, find_guarded(texts, index))


def find_new_entries(hunk: Hunk) -> tuple[str, ...]:
    """Returns the keys that `hunk` adds to a dictionary of a few levels; none where it does anything else as well."""
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

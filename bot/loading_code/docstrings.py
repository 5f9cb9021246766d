"""PURE. Finds which lines of a piece of Python are inside a docstring, without the lines above and below the piece."""

import ast
import keyword
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

_TRIPLE: Final = re.compile(r'"""|\'\'\'')
_STRING: Final = re.compile(r'"[^"]*"|\'[^\']*\'|#.*')
_OPENS: Final = re.compile(r'\s*[rRbBfFuU]{0,2}("""|\'\'\')')
_OPENING: Final = re.compile(r"(^|[=(,\[{+%:]|return)\s*[rRbBfFuU]{0,2}$")
_BULLET: Final = re.compile(r"\s*(```|>>>|- \[?`|\* |Args:|Returns?:|Raises:|Examples?:)")
_STATEMENTS: Final = (
    ast.Assign,
    ast.AugAssign,
    ast.Return,
    ast.Raise,
    ast.Import,
    ast.ImportFrom,
    ast.Delete,
    ast.Assert,
)


def mark_docstrings(lines: Sequence[str]) -> list[bool]:
    """Returns for each line whether it is part of a triple-quoted string; in doubt it is code.

    A quote that closes a string which opened above is known by the prose before it, one that opens by what it follows.
    """
    first = next((index for index, line in enumerate(lines) if _TRIPLE.search(line)), len(lines))
    inside = _reads_as_prose(lines[:first])
    head = [inside] * first
    inside = inside or (first < len(lines) and _closes(lines, first))
    marks = [*head, *_toggled(lines[first:], inside=inside)]
    for start, end in _runs(marks):
        if any(map(_is_statement, lines[start:end])) and not any(map(_is_text, lines[start:end])):
            marks[start:end] = [False] * (end - start)
    return marks


def _runs(marks: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Yields where each run of marked lines starts and ends."""
    edges = [index for index, (a, b) in enumerate(pairwise([False, *marks, False])) if a != b]
    return zip(edges[::2], edges[1::2], strict=True)


def _toggled(lines: Sequence[str], *, inside: bool) -> Iterator[bool]:
    for line in lines:
        quotes = len(_TRIPLE.findall(line))
        yield inside or _OPENS.match(line) is not None
        inside ^= quotes % 2 == 1


def _closes(lines: Sequence[str], first: int) -> bool:
    """Tests whether a quote ends a string: text precedes it, or it is alone and not below a line that ends in a colon."""
    before, _, after = _TRIPLE.sub('"""', lines[first]).partition('"""')
    if before.strip():
        return after.count('"""') == 0 and not _OPENING.search(before)
    above = next((line for line in reversed(lines[:first]) if line.strip()), "")
    return not after.strip() and not above.rstrip().endswith(":")


def _reads_as_prose(lines: Sequence[str]) -> bool:
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return any(map(_is_text, lines)) and not any(map(_is_statement, lines))


def _is_text(line: str) -> bool:
    """Tests whether two names follow each other, which Python never allows, or a list or example of a docstring begins."""
    if _BULLET.match(line):
        return True
    words = re.findall(r"[A-Za-z_]\w*|[^\s\w]", _STRING.sub(" 0 ", line))
    return any(a.isidentifier() and b.isidentifier() and not {a, b} & _KEYWORDS for a, b in pairwise(words))


_KEYWORDS: Final = frozenset([*keyword.kwlist, *keyword.softkwlist])


def _is_statement(line: str) -> bool:
    if re.match(r"\s*(def|class|@\w|if .*:$|for .*:$|with .*:$|else:|elif .*:$|try:|except\b.*:$)", line):
        return True
    try:
        body = ast.parse(line.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, _STATEMENTS) or _is_call(node) for node in body)


def _is_call(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)

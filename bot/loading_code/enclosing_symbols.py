"""Finds what encloses each line of a piece of Python, from its indentation and the symbol that git names above it.

PURE: no input or output.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

UNKNOWN: Final = "?"
"""Takes the place of a name around a line that is not known."""

_INDENT: Final = 4
_SYMBOL: Final = re.compile(r"\s*(?:async\s+)?(def|class)\s+(\w+)\s*(.*)")
_TARGET: Final = re.compile(r"\s*(\w+)\s*(?::[^=]+)?(?:=(?!=)|$)")
_IMPORT: Final = re.compile(r"\s*(from\s+\S+\s+import\b|import\s+\w)")
_IMPORTED: Final = re.compile(r" {4}\w+( as \w+)?,?")
_ENTRY: Final = re.compile(r"(?!\s*\**\w+\s*(:[^=]+)?(=.+)?,$).*,$")
_STRING: Final = re.compile(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])*\'|#.*')

_CONDITION: Final = re.compile(r"\s*(el)?if [^(:]*:")
_BRANCH: Final = re.compile(r"\s*(elif|else)\b")

Names = tuple[str, ...]


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


def _depth(text: str) -> int:
    bare = _STRING.sub("", text)
    return sum(bare.count(bracket) for bracket in "([{") - sum(bare.count(bracket) for bracket in ")]}")


def find_openers(lines: Sequence[str]) -> Iterator[Names]:
    """Yields for each line those above that it is indented under, outermost first."""
    stack: list[str] = []
    for text in lines:
        while stack and _indent(stack[-1]) >= _indent(text):
            stack.pop()
        yield tuple(stack)
        stack.append(text)


def find_guarded(lines: Sequence[str], start: int) -> Names:
    """Returns the lines that a line guards, if it is a condition that calls nothing, has no other branch and ends in sight."""
    if not _CONDITION.fullmatch(lines[start]):
        return ()
    indent = _indent(lines[start])
    end = next((index for index in range(start + 1, len(lines)) if _indent(lines[index]) <= indent), None)
    return () if end is None or _BRANCH.match(lines[end]) else tuple(lines[start + 1 : end])


class Scopes:
    """Walks the code lines of a hunk once, those before or those after the change, without comments and docstrings.

    `section` is the nearest symbol above, stripped of its indentation: git's own pattern names top-level symbols only,
    its pattern for Python the nearest function or class, which may be nested or already over.
    """

    def __init__(self, section: str, lines: Sequence[str]) -> None:
        self._section = section
        self._lines = lines
        self._head = _SYMBOL.match(section)
        self._over = False
        self._stack: list[tuple[int, str, str]] = []

    def names(self) -> Iterator[Names | None]:
        """Yields the names around each line, outermost first, with its own if it opens one; None for an import."""
        depth, current = 0, None
        for index, text in enumerate(self._lines):
            if depth <= 0:
                current = self._statement(index, text)
            depth = max(0, depth + _depth(text))
            yield current

    def _statement(self, index: int, text: str) -> Names | None:
        if _IMPORT.match(text) or (not self._section and _IMPORTED.fullmatch(text)):
            return None
        if text.lstrip()[:1] in {")", "]", "}"}:  # of a bracket that opens above the hunk
            return self._inside or self._above()
        indent = _indent(text)
        self._leave(indent)
        around = self._around(indent, text)
        if opened := _SYMBOL.match(text):
            self._stack.append((indent, opened[1], opened[2]))
            return (*around, opened[2])
        return (*around, self._decorated(index)) if text.lstrip().startswith("@") else around

    def _leave(self, indent: int) -> None:
        while self._stack and self._stack[-1][0] >= indent:
            self._stack.pop()
        if indent == 0 or (indent <= _INDENT and self._is_method()):
            self._over = True

    def _is_method(self) -> bool:
        return self._head is not None and self._head[1] == "def" and self._head[3].startswith(("(self", "(cls"))

    def _around(self, indent: int, text: str) -> Names:
        if self._stack:
            return (*self._inside, *self._target(text)) if self._stack[-1][1] == "class" else self._inside
        if indent == 0:
            return self._target(text)
        return self._below_section(indent, text)

    @property
    def _inside(self) -> Names:
        return tuple(name for _, _, name in self._stack)

    def _above(self) -> Names:
        return (self._head[2],) if self._head and not self._over else (UNKNOWN,)

    @staticmethod
    def _target(text: str) -> Names:
        found = _TARGET.match(text)
        return (found[1],) if found else ()

    def _below_section(self, indent: int, text: str) -> Names:
        """Returns the names around a line of which the hunk shows no enclosing symbol."""
        shallow = indent <= _INDENT
        if self._head is None or (self._over and not self._is_method()):
            return () if self._over else self._target(self._section) or (UNKNOWN,)
        kind, name = self._head[1], self._head[2]
        opens = _SYMBOL.match(text) is not None or text.lstrip().startswith("@")
        if kind == "class":
            return (name, *(self._target(text) or (() if opens else (UNKNOWN,)))) if shallow else (name, UNKNOWN)
        if _ENTRY.fullmatch(text) and indent <= 2 * _INDENT:
            return (UNKNOWN,)
        if self._is_method():
            return (name,) if not self._over else self._target(text) or (() if opens and shallow else (UNKNOWN,))
        if self._head[3] == "(":
            return () if opens and shallow else (name, *(self._target(text) if shallow else ()))
        return () if opens and shallow else (UNKNOWN, name)

    def _decorated(self, index: int) -> str:
        following = (text for text in self._lines[index + 1 :] if not text.lstrip().startswith("@"))
        found = _SYMBOL.match(next(following, ""))
        return found[2] if found else UNKNOWN

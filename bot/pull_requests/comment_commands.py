"""Parses commands in comments: `/zero3 run [selector]`, `rerun`, `explain ARCHITECTURE`, `mute`, `unmute`.

PURE: no input or output.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bot.text import clip, join_words, render_markdown_code
from matrix.errors import UnknownNameError, closest

_MARKDOWN: Final = MarkdownIt()
_COMMAND: Final = re.compile(r"/zero3(?:[ \t]+(.*))?")
WORDS: Final = {
    "run": "`/zero3 run [ARCHITECTURE ...]` measures this pull request again, or only these architectures (`*` and `?` are wildcards)",
    "rerun": "`/zero3 rerun` repeats the last run",
    "explain": "`/zero3 explain ARCHITECTURE` shows the results of one architecture",
    "mute": "`/zero3 mute` stops updates of my comment, but not of the check run",
    "unmute": "`/zero3 unmute` resumes updates of my comment",
}


@dataclass(frozen=True)
class RunCommand:
    """Measure again; without a selector everything that the change affects."""

    selector: str = ""


@dataclass(frozen=True)
class RerunCommand:
    """Repeat the run that the comment reports."""


@dataclass(frozen=True)
class ExplainCommand:
    """Show the results of an architecture."""

    architecture: str


@dataclass(frozen=True)
class MuteCommand:
    """Stop updates of the comment, or resume them."""

    muted: bool


@dataclass(frozen=True)
class HelpCommand:
    """List the commands; `unknown` is the word that is none of them."""

    unknown: str = ""


Command = RunCommand | RerunCommand | ExplainCommand | MuteCommand | HelpCommand


def parse_command(body: str) -> Command | None:
    """Returns the command in the first line that begins with `/zero3`; None without one.

    Quotes, lists, code and HTML are ignored: a command is a line that a reader sees as the comment's own text.
    """
    found = next(filter(None, map(_COMMAND.fullmatch, _list_own_lines(body))), None)
    if not found:
        return None
    word, *rest = (found[1] or "").split() or [""]
    return _command(word.lower(), " ".join(rest)) or HelpCommand(word)


def _list_own_lines(body: str) -> Iterator[str]:
    """Yields each line of a paragraph that is in nothing else, and begins with plain text."""
    lines = re.split(r"\r\n?|\n", body)
    for token in _MARKDOWN.parse("\n".join(lines)):
        if token.type == "inline" and token.level == 1 and token.map:
            own, texts = lines[slice(*token.map)], list(_first_texts(token.children or []))
            # Code, HTML and links can hold line breaks too, and then it is not certain which line is text.
            if len(own) == len(texts):
                yield from (line for line, text in zip(own, texts, strict=True) if text and line.startswith(text))


def _first_texts(children: Sequence[Token]) -> Iterator[str]:
    """Yields the text that each line begins with; empty where it begins with code, HTML or anything else."""
    begins = True
    for child in children:
        if begins:
            yield child.content if child.type == "text" else ""
        begins = child.type in ("softbreak", "hardbreak")


def _command(word: str, rest: str) -> Command | None:
    match word:
        case "run":
            return RunCommand(rest)
        case "rerun":
            return RerunCommand()
        case "explain" if rest:
            return ExplainCommand(rest)
        case "mute" | "unmute":
            return MuteCommand(muted=word == "mute")
        case _:
            return None


def describe_unknown(error: UnknownNameError) -> str:
    """Returns the reply to a name that is not in the catalog."""
    return "\n".join(
        f"I do not know the {error.what} {_quoted(name)}{_meant(closest(name, error.known))}" for name in error.names
    )


def describe_commands(unknown: str) -> str:
    """Returns the list of commands, as reply to `unknown`, which is none of them, or to nothing."""
    first = f"I do not know {_quoted(unknown)}{_meant(closest(unknown, list(WORDS)))}\n\n" if unknown else ""
    return f"{first}I know these commands:\n" + "\n".join(f"- {words}" for words in WORDS.values())


def _quoted(text: str) -> str:
    return render_markdown_code(clip(text, 80))


def _meant(close: Sequence[str]) -> str:
    return f". Did you mean {join_words([render_markdown_code(name) for name in close])}?" if close else "."

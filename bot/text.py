"""PURE. Makes text from outside harmless for Markdown and HTML, and formats small phrases about numbers.

Names, values and messages in records come from measured code and may be hostile. They are marked `Code`, so that each
outlet shows them verbatim, in its own kind of code span, and never as markup.
"""

import html
import json
import re
from collections.abc import Iterable, Sequence
from datetime import date

from matrix.model import Scalar
from matrix.text import join_lines, make_visible

NAME_LIMIT = 200
MESSAGE_LIMIT = 1500


class Code(str):
    """Text from outside: shown verbatim, as code."""

    __slots__ = ()


Sentence = tuple[str, ...]
"""A sentence in parts: plain parts are our own words, `Code` parts are from outside."""


def strip_marks(sentence: Sentence) -> str:
    """Returns the sentence without marks, for outlets where nothing is markup."""
    return "".join(sentence)


def clip(text: str, limit: int = NAME_LIMIT) -> Code:
    """Returns the first `limit` characters of `text`, and how many are left out."""
    left = len(text) - limit
    return Code(text if left <= 0 else f"{text[:limit]}… (and {left} more characters)")


def render_markdown_code(text: str) -> str:
    """Renders `text` as a GitHub Markdown code span, safe inside a table cell too.

    A mention, reference or link is not made inside code, which escaping outside of it cannot promise. Pipes split a
    table cell even inside backticks, so such text becomes an HTML code element of character references, and one more
    from each @ on: GitHub looks for mail addresses after it resolved the references, inside of HTML code too.
    """
    shown = join_lines(text) or " "
    if not re.search(r"[`|\\]", shown):
        return f"`{shown}`"
    references = re.sub(r"[^A-Za-z0-9 ]", lambda match: f"&#{ord(match[0])};", shown)
    return f"<code>{references}</code>".replace("&#64;", "</code><code>&#64;")


def escape_markdown(text: str) -> str:
    """Escapes our own words for GitHub Markdown: nothing in them is markup, a mention, a reference or a link."""
    escaped = re.sub(r"([\\`*_\[\]|~])", r"\\\1", html.escape(re.sub(r"\s+", " ", make_visible(text)), quote=False))
    return re.sub(r"(@|#|:(?=//)|www(?=\.))", "\\1\N{ZERO WIDTH SPACE}", escaped)


def render_markdown_fence(text: str) -> str:
    """Renders `text` on one line as a fenced block of shell code; the fence is longer than any run of backticks inside."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}sh\n{join_lines(text)}\n{fence}"


def render_html_code(text: str) -> str:
    """Renders `text` on one line as an HTML code element, for places where Markdown is not read."""
    return f"<code>{html.escape(join_lines(text))}</code>"


def join_words(items: Sequence[str]) -> str:
    """Joins words: `a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def capitalize(text: str) -> str:
    """Begins our own words with a capital letter; text from outside is not changed."""
    return text if isinstance(text, Code) else text[:1].upper() + text[1:]


def count(number: int, noun: str) -> str:
    """Formats a number of things: `1 tensor`, `1,200 tensors`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def describe_ranks(ranks: Sequence[int], world_size: int) -> str:
    """Describes ranks: `on ranks 0 and 1`, `on rank 1 only`, `on ranks 0 to 7`; empty where no rank is known."""
    if not ranks:
        return ""
    if len(ranks) == 1:
        return f"on rank {ranks[0]}" + (" only" if world_size > 1 else "")
    first, last = min(ranks), max(ranks)
    if len(ranks) > 2 and last - first + 1 == len(ranks):
        return f"on ranks {first} to {last}"
    return f"on ranks {join_words([str(rank) for rank in ranks])}"


def format_value(scalar: Scalar) -> str:
    """Formats a tensor element as Python does, or with nine digits, which distinguish any two float32 values."""
    exact = str(scalar)
    return exact if not isinstance(scalar, float) or len(exact) <= 12 else f"{scalar:.9g}"


def format_values(scalars: Iterable[Scalar], *, more: bool = False) -> Code:
    """Formats tensor elements in a row, with an ellipsis where there are `more`."""
    shown = [format_value(scalar) for scalar in scalars]
    return clip(", ".join([*shown, "…"] if more and shown else shown))


def render_json(value: object) -> str:
    """Returns `value`, which may hold dataclasses, as JSON of ASCII characters only, so that no text in it is anything but data."""
    return json.dumps(value, default=_json_value, allow_nan=False, separators=(",", ":")) + "\n"


def _json_value(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    return vars(value) if hasattr(value, "__dict__") else str(value)

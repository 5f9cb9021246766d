"""The words of the comment: how roles and attributions are called in it.

PURE: no input or output.
"""

import re
from collections.abc import Mapping

from bot.text import Code, Sentence, clip
from matrix.comparison.compare import Role
from matrix.comparison.outcome import Attribution
from matrix.text import join_lines

ROLES: Mapping[Role, str] = {
    Role.BASE: "base",
    Role.HEAD: "head",
    Role.BASE_RERUN: "rerun of base",
    Role.HEAD_RERUN: "rerun of head",
    Role.BASE_OTHER: "base with the other package's older release",
    Role.HEAD_OTHER: "head with the other package's older release",
    Role.NEWEST: "newest release",
    Role.LAST_BROKEN: "last release with the bug",
}

ATTRIBUTIONS: Mapping[Attribution, str] = {
    Attribution.SUBJECT: "this change alone",
    Attribution.OTHER: "{other} alone",
    Attribution.TOGETHER: "only this change and {other} together",
    Attribution.EITHER: "either this change or {other}",
    Attribution.NEITHER: "neither this change nor {other}",
    Attribution.UNKNOWN: "cause unknown",
}

_LIKE_A_SENTENCE = re.compile(r"[A-Za-z0-9_ ,;:.()'%/+-]{0,300}")
_LIKE_A_REFERENCE = re.compile(r"\bGH-\d|//|\bwww\.|[0-9a-f]{7}", re.IGNORECASE)


def clean_words(text: str) -> str:
    """Returns words of another part of this project: plain while they look like words, else shown as code.

    Somebody else's text may have got into them; a commit or `GH-1` would become a link.
    """
    plain = _LIKE_A_SENTENCE.fullmatch(text) and not _LIKE_A_REFERENCE.search(text)
    return text if plain else clip(join_lines(text), 300)


def clean_sentence(words: str | Sentence) -> Sentence:
    """Returns a sentence with nothing harmful in it: `Code` stays code, clipped, and words are cleaned."""
    parts = (words,) if isinstance(words, str) else words
    return tuple(clip(part) if isinstance(part, Code) else clean_words(part) for part in parts[:20])

"""The hidden last line of a comment or an issue of ours, which keeps a value from one job to the next.

PURE: no input or output.
"""

import json
import re
from contextlib import suppress
from typing import Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")
LONGEST: Final = 262_144
"""Characters: no text on GitHub is longer."""


class Marker(Generic[T]):
    """Reads and writes a value of a dataclass as JSON in an HTML comment, `<!-- name {...} -->`, the last line of a text.

    It comes last, so that a mail about the text begins with what people read. Anybody can quote a marker: believe it in
    texts of our own account only.
    """

    def __init__(self, name: str, kind: type[T], longest: int = LONGEST) -> None:
        self.start = f"<!-- {name} "
        self._line = re.compile(rf"^{re.escape(self.start)}(.{{0,{longest}}}) -->\s*\Z", re.MULTILINE)
        self._kind = TypeAdapter(kind)

    def is_in(self, text: str) -> bool:
        """Tests whether the last line of `text` is this marker, also one that somebody has spoilt."""
        return bool(self._line.search(text))

    def parse(self, text: str) -> T | None:
        """Returns the value in the last line of `text`; None where there is none or anything about it is wrong."""
        found = self._line.search(text)
        with suppress(ValidationError):
            return self._kind.validate_json(found[1]) if found else None
        return None

    def render(self, value: T) -> str:
        """Returns the line that `parse` reads. No text in `value` can end the HTML comment."""
        text = json.dumps(self._kind.dump_python(value, mode="json"), separators=(",", ":"))
        harmless = text.replace("<", r"\u003c").replace(">", r"\u003e")
        return f"{self.start}{harmless} -->"

    def sign(self, text: str, value: T) -> str:
        """Returns `text` with `value` in its last line, in place of the marker that it has."""
        return f"{self._line.sub('', text).rstrip()}\n\n{self.render(value)}"

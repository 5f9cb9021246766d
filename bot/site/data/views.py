"""The parts that the contexts of pages are made of."""

from dataclasses import dataclass
from datetime import date

from bot.text import Code, Sentence, strip_marks
from matrix.model import Device, Loader
from matrix.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence whose parts from outside are marked; plain text as a string, and in JSON.

    `render_json` takes apart what has no slots.
    """

    parts: Sentence

    def __str__(self) -> str:
        return strip_marks(self.parts)


def words(*parts: str) -> Words:
    """Returns a sentence for a page; parts from outside are `Code`."""
    return Words(parts)


@dataclass(frozen=True)
class Link:
    """A link to a page of the site: its `text` and the path of the page from the root."""

    text: str
    page: str


@dataclass(frozen=True)
class EnvironmentLink:
    """An environment wherever it is named. `stale` says why its verdicts may be old; empty if not."""

    id: Code
    label: Code
    page: str
    transformers: Code
    deepspeed: Code
    device: Device
    night: date
    stale: tuple[Words, ...]


@dataclass(frozen=True)
class CaseLink:
    """A case wherever it is named."""

    architecture: Code
    loader: Loader
    check: str
    verdict: Verdict
    page: str


@dataclass(frozen=True)
class FailureLink:
    """A distinct upstream failure and its page."""

    verdict: Verdict
    text: Words
    page: str


@dataclass(frozen=True)
class VerdictEntry:
    """A verdict in words; `wrong` when ZeRO-3 left wrong values, or no model at all."""

    verdict: Verdict
    word: str
    meaning: str
    wrong: bool


VERDICTS = tuple(VerdictEntry(one, one.row.word, one.row.meaning, one.wrong_values) for one in Verdict)

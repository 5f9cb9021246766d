"""What the answer box knows, as the start page and its JSON hold it."""

from dataclasses import dataclass
from datetime import date

from bot.site.data.views import FailureLink, Words
from bot.text import Code
from matrix.model import Device
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class AnswerEnvironment:
    """An environment for the answer box. `verdicts` has a digit per case, the verdict's place in `Answers.verdicts`, or `.`
    where it is untested: architectures in their order, four cases each (`Answers.cases`). `why` has, for each digit of a
    verdict with wrong values, in their order, the place of its failure in `Answers.failures`, or -1.

    `answers` has two letters per architecture, stock then fixed loader: `s` safe, `u` unsafe, `?` not known. They are of its
    pair of versions in every environment on its device, as of the newest night. `flaky` is how many percent of all its cases
    are flaky, rounded down.
    """

    id: Code
    label: Code
    slug: str
    transformers: Code
    deepspeed: Code
    device: Device
    night: date
    stale: tuple[Words, ...]
    verdicts: str
    answers: str
    flaky: int
    why: tuple[int, ...]


@dataclass(frozen=True)
class AnswerArchitecture:
    """An architecture that may be asked for."""

    id: Code
    slug: str


@dataclass(frozen=True)
class AnswerVerdict:
    """A verdict in words; `wrong` when ZeRO-3 left wrong values, or no model at all."""

    verdict: Verdict
    word: str
    meaning: str
    wrong: bool


@dataclass(frozen=True)
class Answers:
    """All that the answer box knows. `transformers` and `deepspeeds` are the measured versions, the oldest first."""

    cases: tuple[str, ...]
    verdicts: tuple[AnswerVerdict, ...]
    devices: tuple[Device, ...]
    transformers: tuple[Code, ...]
    deepspeeds: tuple[Code, ...]
    architectures: tuple[AnswerArchitecture, ...]
    environments: tuple[AnswerEnvironment, ...]
    failures: tuple[FailureLink, ...]

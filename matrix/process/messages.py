"""Parses the messages that the probe prints on stdout.

The code under test can write there too. So only the form of a message is checked, never believed is that the probe
wrote it: `matrix.process.sandbox` says what can be promised.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic brings it, and takes no other before Python 3.12

from matrix.errors import BadMessageError
from matrix.model import Case, EnvironmentInfo, Failure, Timing

LONGEST: Final = 8 << 20
"""Characters of a message: a case with findings in thousands of tensors has about one million."""
ALL: Final = 64 << 20
"""Characters of all messages of one probe: the whole catalog, broken everywhere, has about four million."""

_ESCAPE: Final = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|\\u(d[89a-f][0-9a-f]{2})|\\.")
"""An escape of JSON, as Python writes it; the group is half a pair of surrogates: no text, but a path may hold it."""

_Message = TypeVar("_Message")


@dataclass(frozen=True)
class Resolved:
    """What the probe made of a target. `parameters` are those measured, `sites` the buffer sites among them.

    `lost` are sites of the full-size model that the tiny one does not have; None where `unknown` says why they are unknown,
    and where the model kept its size.
    """

    id: str
    parameters: int | None = None
    sites: tuple[str, ...] = ()
    full_parameters: int | None = None
    lost: tuple[str, ...] | None = None
    unknown: str = ""


class Message(TypedDict, total=False):
    """A message of the probe while it does a job: one of these, or `progress` with `at`, `done` and `of`, of any type."""

    environment: EnvironmentInfo
    target: Resolved
    refused: str
    remark: str
    progress: object
    at: object
    done: object
    of: object
    case: Case
    failure: Failure
    end: Timing


MESSAGE: Final = TypeAdapter(Message)


def read_messages(stream: IO[str], kind: TypeAdapter[_Message]) -> Iterator[_Message]:
    """Parses each line of `stream` as a message of the type `kind`; names that it does not know are ignored.

    A lone surrogate, as in a path that is not UTF-8, is written out, so that the text can be shown and kept. Raises
    BadMessageError for any other line, for numbers that no record can hold, and for too many lines.
    """
    total = 0
    # Never `for line in stream`: it would read a line without an end until memory is full.
    while line := stream.readline(LONGEST + 1):
        total += len(line)
        if len(line) > LONGEST or total > ALL:
            raise BadMessageError("more messages than a probe sends")
        yield _parse(line, kind)


def _parse(line: str, kind: TypeAdapter[_Message]) -> _Message:
    try:
        return kind.validate_json(_write_out_surrogates(line), strict=True)
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))[:100] or "a line"
        raise BadMessageError(f"{where}: {problem['type']}") from error


def _write_out_surrogates(line: str) -> str:
    return _ESCAPE.sub(lambda found: rf"\\u{found[1]}" if found[1] else found[0], line) if r"\ud" in line else line

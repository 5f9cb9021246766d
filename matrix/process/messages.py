"""What the probe says on its stdout. The code under test can write there too, so every message counts as hostile.

Whoever reads it believes the form, never that the probe wrote it: see `matrix.process.sandbox` on what can be promised.
"""

import json
from collections.abc import Iterator
from typing import IO, Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from matrix.errors import BadMessageError

LONGEST: Final = 8 << 20
"""Characters of a message: a case with findings in thousands of tensors has about one million."""
ALL: Final = 64 << 20
"""Characters of all messages of one probe: the whole catalog, broken everywhere, has about four million."""

_Value = TypeVar("_Value")


def messages(stream: IO[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects in the lines of `stream`; raises BadMessageError for any other line, and for too many."""
    total = 0
    while line := stream.readline(LONGEST + 1):
        total += len(line)
        if len(line) > LONGEST or total > ALL:
            raise BadMessageError("more than a probe has to say")
        yield _parsed(line)


def _parsed(line: str) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadMessageError("a line is not JSON") from error
    if not isinstance(message, dict):
        raise BadMessageError("a line is not a JSON object")
    return message


def strictly(adapter: TypeAdapter[_Value], values: object) -> _Value:
    """What `values` describe; raises BadMessageError. Unknown names in them are ignored, NaN and infinities refused."""
    try:
        return adapter.validate_json(json.dumps(values, allow_nan=False), strict=True)
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        raise BadMessageError(f"{'.'.join(map(str, problem['loc']))[:100]}: {problem['type']}") from error
    except (ValueError, RecursionError) as error:
        raise BadMessageError("a value that no record can hold") from error

"""What a probe may say, and what is refused."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from matrix.errors import BadMessageError
from matrix.model import Case
from matrix.process import messages
from matrix.process.messages import MESSAGE


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.floats() | st.text() | st.integers(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_r3_any_line_is_a_message_or_refused(line: bytes) -> None:
    try:
        list(messages.read_messages(io.TextIOWrapper(io.BytesIO(line), errors="replace"), TypeAdapter(Case)))
    except BadMessageError as error:
        assert len(str(error)) < 400  # noqa: PT017  most lines are refused, but not all


@pytest.mark.parametrize(
    "line", ["[" * 200_000, '{"a": ' * 100_000, "1" * 10_000, '"x"', "::error::x", "x" * (messages.LONGEST + 1)],
    ids=["deep", "deep objects", "a huge number", "no object", "a command", "too long"],
)  # fmt: skip
def test_r3_a_hostile_line_is_refused(line: str) -> None:
    with pytest.raises(BadMessageError):
        list(messages.read_messages(io.StringIO(line), MESSAGE))


def test_too_many_lines_are_refused() -> None:
    with pytest.raises(BadMessageError, match="more messages than a probe sends"):
        list(messages.read_messages(io.StringIO((" " * (1 << 20) + "{}\n") * 65), MESSAGE))


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\ud800", r"\ud800"), ("caf\udce9", r"caf\udce9"), (r"\ud800", r"\ud800"), ("\\\ud800\n", "\\\\ud800\n"), ("\U0001f600",) * 2],
)  # fmt: skip
def test_half_a_pair_of_surrogates_is_written_out(text: str, shown: str) -> None:
    error = {"type": "E", "message": text}
    told = [{"refused": text}, {"progress": text, "more": text}, {"failure": error}]
    refused, _, failure = messages.read_messages(io.StringIO("\n".join(map(json.dumps, told))), MESSAGE)
    assert (refused["refused"], failure["failure"].message) == (shown, shown)


@pytest.mark.parametrize(
    "values", [{"seconds": float("nan")}, {"seconds": 1e999}, {"seconds": "1"}, [], None, {"seconds": "\ud800"}]
)
def test_values_that_no_record_holds_are_refused(values: object) -> None:
    with pytest.raises(BadMessageError):
        list(messages.read_messages(io.StringIO(json.dumps({"end": values})), MESSAGE))

"""Commands in comments: how they are read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.pull_requests.comment_commands import Command, Explain, Help, Mute, Rerun, Run, parse_command


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ("/zero3 run", Run()),
        ("/zero3 run deepseek_v3:* dots1", Run("deepseek_v3:* dots1")),
        ("Thanks!\r\n\r\n/zero3   RUN\t align \r\nbye", Run("align")),
        ("/zero3 rerun please", Rerun()),
        ("/zero3 explain align:AlignModel", Explain("align:AlignModel")),
        ("/zero3 explain", Help("explain")),
        ("/zero3 mute", Mute(muted=True)),
        ("/zero3 unmute", Mute(muted=False)),
        ("/zero3", Help()),
        ("/zero3 ", Help()),
        ("/zero3 launch `@all`", Help("launch")),
        ("/zero3 rerun\n/zero3 mute", Rerun()),
        ("/zero3run", None),
        ("/zero3-reply", None),
        ("> /zero3 run", None),
        (" /zero3 run", None),
        ("try /zero3 run", None),
        ("```\n/zero3 run\n```", None),
        ("```\n/zero3 run", None),
        ("~~~sh\n/zero3 run\n~~~\n/zero3 mute", Mute(muted=True)),
        ("`/zero3 run`", None),
        ("", None),
    ],
)
def test_a_command_is_a_line_that_begins_with_it(body: str, command: Command | None) -> None:
    assert parse_command(body) == command


@settings(deadline=None)
@given(st.text() | st.text(alphabet=st.sampled_from("/zero3 run`~\n\r\t*")))
def test_every_body_is_a_command_or_none(body: str) -> None:
    assert parse_command(body) is None or "/zero3" in body

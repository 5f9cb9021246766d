"""Commands in comments: how they are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.pull_requests.comment_commands import (
    Command,
    ExplainCommand,
    HelpCommand,
    MuteCommand,
    RerunCommand,
    RunCommand,
    parse_command,
)


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ("/zero3 run", RunCommand()),
        ("/zero3 run deepseek_v3:* dots1", RunCommand("deepseek_v3:* dots1")),
        ("Thanks!\r\n\r\n/zero3   RUN\t align \r\nbye", RunCommand("align")),
        ("/zero3 rerun please", RerunCommand()),
        ("/zero3 explain align:AlignModel", ExplainCommand("align:AlignModel")),
        ("/zero3 explain", HelpCommand("explain")),
        ("/zero3 mute", MuteCommand(muted=True)),
        ("/zero3 unmute", MuteCommand(muted=False)),
        ("/zero3", HelpCommand()),
        ("/zero3 ", HelpCommand()),
        ("/zero3 launch `@all`", HelpCommand("launch")),
        ("/zero3 rerun\n/zero3 mute", RerunCommand()),
        ("/zero3run", None),
        ("/zero3-reply", None),
        ("> /zero3 run", None),
        (" /zero3 run", None),
        ("try /zero3 run", None),
        ("```\n/zero3 run\n```", None),
        ("```\n/zero3 run", None),
        ("~~~sh\n/zero3 run\n~~~\n/zero3 mute", MuteCommand(muted=True)),
        ("`/zero3 run`", None),
        ("- item\n  ```\n  /zero3 run\n  ```", None),
        ("   ```\n/zero3 run\n   ```", None),
        ("````\n```\n/zero3 run\n```\n/zero3 run\n````", None),
        ("```\n/zero3 run\n``` no end\n/zero3 run", None),
        ("> ```\n> x\n\n    /zero3 run", None),
        ("<!--\n/zero3 run\n-->", None),
        ("Thanks <!--\n/zero3 run\n-->!", None),
        ("<details>\n/zero3 run\n</details>", None),
        ("`one\n/zero3 run\ntwo`", None),
        ("- a list\n\n  /zero3 run", None),
        ("[link](x\n/zero3)", None),
        ("/`x` <!--\n/zero3 run\n-->", None),
        ("/zero3*a*`x\n/zero3 run\ny`", None),
        ("/zero3*a*<!--\n/zero3 run\n-->", None),
        ("/zero3![x\n/zero3 run\n](y)", None),
        ("/zero3[x](y\n'\n/zero3 run\n')", None),
        ("*Thanks*\\\n/zero3 run  \n`x`", RunCommand()),
        ("<!-- a note -->\n\n/zero3 run", RunCommand()),
        ("Thanks\n/zero3 run `x`", RunCommand("`x`")),
        ("```\ncode\n```\n/zero3 run", RunCommand()),
        ("", None),
    ],
)
def test_a_command_is_a_line_that_begins_with_it(body: str, command: Command | None) -> None:
    assert parse_command(body) == command


@given(st.text() | st.text(alphabet=st.sampled_from("/zero3 run`~\n\r\t*")))
def test_every_body_is_a_command_or_none(body: str) -> None:
    assert parse_command(body) is None or "/zero3" in body

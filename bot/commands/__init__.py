"""The commands that show people what was measured, one file for each group, and the tables of them."""

from typing import Final

from matrix.command_line.table import CommandEntry
from matrix.commands import COMMANDS as MATRIX

COMMANDS: Final = (
    CommandEntry("bot.commands.report:report", "report", "report"),
    CommandEntry("bot.commands.dashboard:dashboard", "dashboard", "dashboard"),
    CommandEntry("bot.commands.pull_request:plan_command", "plan", "bot plan"),
    CommandEntry("bot.commands.pull_request:comment_command", "comment", "bot comment"),
    CommandEntry("bot.commands.pull_request:command_command", "command", "bot command"),
    CommandEntry("bot.commands.pull_request:watch_command", "watch", "bot watch"),
    CommandEntry("bot.commands.nightly:plan_command", "nightly plan", "nightly plan"),
    CommandEntry("bot.commands.nightly:keep_command", "nightly keep", "nightly keep"),
    CommandEntry("bot.commands.nightly:fetch_command", "nightly fetch", "nightly fetch"),
    CommandEntry("bot.commands.nightly:pack_command", "nightly pack", "nightly pack"),
    CommandEntry("bot.commands.nightly:track_command", "nightly track", "nightly track"),
    CommandEntry("bot.commands.documents:write_documents", "documents"),
    CommandEntry("bot.commands.pull_request:models_command", "models"),
)
"""The commands of `python -m bot`."""
ZERO3: Final = {command.zero3: command.function for command in (*MATRIX, *COMMANDS) if command.zero3}
"""The functions of the commands of `zero3`, by their names."""
GROUPS: Final = {
    "bot": "The steps for a pull request, as the workflows call them.",
    "nightly": "The steps of a nightly run, as the workflow `nightly` calls them.",
}
"""The help of each group of commands."""

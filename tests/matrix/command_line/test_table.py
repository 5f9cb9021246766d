"""Every command of the tables is there, is imported only when it is asked for, and an unknown one is named in a sentence."""

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

import bot.__main__
import bot.zero3
import matrix.__main__
from bot.commands import COMMANDS, GROUPS, ZERO3
from matrix.command_line.table import CommandEntry, load_function
from matrix.commands import COMMANDS as MATRIX
from matrix.errors import UnknownNameError
from tests.support.command_line import ROOT

ISSUE = (
    ["run", "check", "advise", "list", "compare", "report", "dashboard", "history", "catalog", "bench"],
    [f"bot {name}" for name in ["plan", "measure", "comment", "command", "watch"]],
    [f"nightly {name}" for name in ["plan", "measure", "merge", "keep", "fetch", "pack", "track"]],
)
APPS = {"matrix": matrix.__main__.app, "bot": bot.__main__.app, "zero3": bot.zero3.app}


def run(app: typer.Typer, *arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def imported(*arguments: str) -> set[str]:
    """The modules that `zero3` with these arguments has imported when it ends."""
    code = "import json, sys\nfrom bot.zero3 import app\napp(sys.argv[1:], standalone_mode=False)\nprint(json.dumps([*sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_zero3_has_the_commands_that_the_documents_name() -> None:
    assert {*ZERO3} == {name for names in ISSUE for name in names}


@pytest.mark.parametrize("entry", [*MATRIX, *COMMANDS], ids=lambda entry: entry.name)
def test_a_command_is_a_function_with_a_help(entry: CommandEntry) -> None:
    assert load_function(entry.function).__doc__


@pytest.mark.parametrize("name", ZERO3)
def test_both_ways_to_start_a_command_run_the_same(name: str) -> None:
    (entry,) = [entry for entry in (*MATRIX, *COMMANDS) if entry.zero3 == name]
    old = APPS["matrix" if entry in MATRIX else "bot"]
    ours, theirs = run(bot.zero3.app, *name.split(), "--help"), run(old, *entry.name.split(), "--help")
    assert ours.partition("\n\n ")[2].partition("\n")[2] == theirs.partition("\n\n ")[2].partition("\n")[2]


@pytest.mark.parametrize(
    ("app", "arguments", "message"),
    [
        ("zero3", ["chekc"], "unknown command 'chekc': did you mean check?"),
        ("zero3", ["plan"], "unknown command 'plan': did you mean bot plan, nightly plan?"),
        ("zero3", ["nightly", "mesure"], "unknown command 'mesure': did you mean measure, merge?"),
        ("zero3", ["xyzzy"], "unknown command 'xyzzy': choose from run, check, advise, ...; `zero3 --help` shows all"),
        ("matrix", ["advice"], "unknown command 'advice': did you mean advise?"),
        ("bot", ["nightly", "trakc"], "unknown command 'trakc': choose from track, plan, keep, fetch, pack"),
    ],
)
def test_an_unknown_command_names_the_close_ones(app: str, arguments: list[str], message: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown command") as raised:
        CliRunner().invoke(APPS[app], arguments, catch_exceptions=False, prog_name=app)
    assert (str(raised.value), raised.value.exit_code) == (message, 2)


@pytest.mark.parametrize("name", ZERO3)
def test_the_usage_names_arguments_in_capitals(name: str) -> None:
    (usage,) = [line for line in run(bot.zero3.app, *name.split(), "--help").splitlines() if "Usage:" in line]
    arguments = usage.partition("[OPTIONS]")[2]
    assert arguments == arguments.upper()


def test_the_groups_say_what_they_are_for() -> None:
    assert all(f"{name}  " in run(bot.zero3.app, "--help") for name in GROUPS)


def test_what_a_command_does_not_need_is_not_imported() -> None:
    assert not {"github", "jinja2", "sqlite3"} & imported("list", "--help")
    assert "github" not in imported("--help")
    assert not {"github", "jinja2", "rich.table"} & imported("--version")


def test_the_version_is_shown() -> None:
    assert run(bot.zero3.app, "--version").startswith("zero3-matrix ")

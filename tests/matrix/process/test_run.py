"""Whatever is started ends: with its command, with the block that started it, and with the host, however that ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from matrix.process.run import ROOT, Command, run, running
from tests.support.processes.endings import ends_within

HIDING = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(600)"
"""A Python program that stays. In a session of its own no signal to a group reaches it."""
STARTS_AND_ENDS = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {HIDING!r}], start_new_session=True, stdout=subprocess.PIPE, text=True)
print(child.stdout.readline(), flush=True)
"""
STARTS_AND_STAYS = f"{STARTS_AND_ENDS}\nimport time; time.sleep(600)"
HOST = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from matrix.process.run import Command, running
with running(Command([sys.executable, "-c", {STARTS_AND_STAYS!r}], Path("."), os.environ), sys.stderr) as stdout:
    print(stdout.readline(), flush=True)
    import time; time.sleep(600)
"""


def test_what_a_command_leaves_behind_ends_with_it() -> None:
    done = run([sys.executable, "-c", STARTS_AND_ENDS])
    assert ends_within(int(done.stdout), seconds=0)


def test_what_a_command_started_ends_with_the_block(tmp_path: Path) -> None:
    command = Command([sys.executable, "-c", STARTS_AND_STAYS], tmp_path, os.environ)
    with (tmp_path / "log").open("w") as log, running(command, log) as stdout:
        hidden = int(stdout.readline())
        os.kill(hidden, 0)
    assert ends_within(hidden, seconds=0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGTERM], ids=lambda number: number.name)
def test_what_a_host_started_ends_with_it_within_five_seconds(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", HOST], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout
        hidden = int(host.stdout.readline())
        os.kill(host.pid, number)
        host.wait()
    assert ends_within(hidden, seconds=5)


@pytest.mark.parametrize(("ends", "code"), [("exit 7", 7), ("kill -KILL $$", -9), ("kill -TERM $$", -15)])
def test_the_end_of_a_command_is_told_as_it_was(ends: str, code: int) -> None:
    assert run(["sh", "-c", ends]).returncode == code


def test_a_command_gets_its_input_and_all_it_writes_is_returned() -> None:
    done = run(["sh", "-c", "cat; echo wrong >&2"], stdin="one\ntwo")
    assert (done.stdout, done.stderr) == ("one\ntwo", "wrong\n")


def test_a_command_that_cannot_be_started_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run([str(tmp_path / "nowhere")])
    (tmp_path / "text").write_text("no program")
    with pytest.raises(PermissionError):
        run([str(tmp_path / "text")])


def test_an_ignored_hangup_stays_ignored_and_broken_pipes_end_a_command() -> None:
    asked = "import signal; print(signal.getsignal(signal.SIGHUP).name)"
    nohup = f"""
import signal, sys
sys.path.insert(0, {str(ROOT)!r})
from matrix.process.run import run
signal.signal(signal.SIGHUP, signal.SIG_IGN)
print(run([sys.executable, "-c", {asked!r}]).stdout)
"""
    assert run([sys.executable, "-c", nohup]).stdout.split() == ["SIG_IGN"]
    assert run(["sh", "-c", "yes | head -1; exit 3"]).returncode == 3


def test_a_stopped_supervisor_ends_with_its_host_too() -> None:
    with subprocess.Popen([sys.executable, "-c", HOST], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout
        hidden = int(host.stdout.readline())
        (supervisor,) = Path(f"/proc/{host.pid}/task/{host.pid}/children").read_text().split()
        os.kill(int(supervisor), signal.SIGSTOP)
        host.kill()
    assert ends_within(hidden, seconds=5)


def test_a_supervisor_that_is_killed_leaves_nothing_and_holds_nobody_up(tmp_path: Path) -> None:
    kills = "import os, signal; os.kill(os.getppid(), signal.SIGKILL); import time; time.sleep(600)"
    program = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {HIDING!r}], start_new_session=True, stdout=open("pid", "w"))
while not open("pid").read(): pass
{kills}
"""
    done = run([sys.executable, "-c", f"import os; os.chdir({str(tmp_path)!r})\n{program}"])
    assert done.returncode == -9
    assert ends_within(int((tmp_path / "pid").read_text()), seconds=5)

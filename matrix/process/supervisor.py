"""Runs a command, and ends all that it started when it ends or when the process that asked for it is gone.

`python supervisor.py LIFELINE REPORT COMMAND ...`, a script for `matrix.process.run` with the standard library alone.
LIFELINE and REPORT are numbers of file descriptors. The writing end of the pipe LIFELINE belongs to the host alone, so it
closes with the host, also when that is killed. REPORT gets the number of the error where the command cannot be started.

The kernel hands orphans below this process to it (PR_SET_CHILD_SUBREAPER of prctl(2)), so that no descendant can hide.
Where this process itself is killed, the kernel kills the command (PR_SET_PDEATHSIG).
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

_SET_PDEATHSIG: Final = 1
_SET_CHILD_SUBREAPER: Final = 36
_PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Signals that the host sends to the whole group: the command decides what they mean."""


def control_process(option: int, value: int) -> None:
    """Calls prctl(2), which only Linux has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def start(command: Sequence[str], report: int, handlers: Mapping[signal.Signals, object]) -> int:
    """Starts `command`, which ends with this process, and returns its process id.

    Signals that the host ignores, by its `handlers`, stay ignored. An error is written to `report`.
    """
    supervisor = os.getpid()
    child = os.fork()
    if child:
        os.close(report)
        return child
    for number in (*_PASSED_ON, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
        ignored = number in _PASSED_ON and handlers[number] is signal.SIG_IGN
        signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
    control_process(_SET_PDEATHSIG, signal.SIGKILL)
    try:
        if os.getppid() == supervisor:  # otherwise it ended before the kernel knew what to do then
            os.execvp(command[0], list(command))  # noqa: S606 - the arguments are the host's
    except OSError as error:
        os.write(report, str(error.errno).encode())
    os._exit(127)


def list_children() -> Iterator[int]:
    """Yields the process ids of all children of this process."""
    own = str(os.getpid())
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            # The second field is a name in parentheses, with anything in it.
            if file.read_text(errors="replace").rpartition(")")[2].split()[1] == own:
                yield int(file.parent.name)


def end_descendants() -> None:
    """Kills every descendant: the children of one that is killed become children of this process."""
    with contextlib.suppress(ChildProcessError):
        while True:
            for child in list_children():
                with contextlib.suppress(OSError):
                    os.kill(child, signal.SIGKILL)
            os.waitpid(-1, 0)


def wait(child: int, lifeline: int, woken: int) -> int:
    """Waits until `child` has ended or the host is gone, and returns the child's wait status."""
    while True:
        ready, _, _ = select.select([lifeline, woken], [], [])
        if lifeline in ready:
            return signal.SIGKILL
        os.read(woken, 4096)
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitpid(-1, os.WNOHANG):
                if ended[0] == child:
                    return ended[1]
                if not ended[0]:
                    break


def end_like(status: int) -> None:
    """Ends this process as a wait status says that another one has ended."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        with contextlib.suppress(OSError):  # of SIGKILL, which has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def main(lifeline: int, report: int, command: Sequence[str]) -> None:
    """Runs `command` to its end."""
    for inherited in (lifeline, report):
        os.set_inheritable(inherited, False)  # noqa: FBT003 - its only parameter
    control_process(_SET_CHILD_SUBREAPER, 1)
    # Where this process is stopped when its host ends, it must go on to notice that.
    control_process(_SET_PDEATHSIG, signal.SIGCONT)
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    handlers = {number: signal.signal(number, lambda *_: None) for number in (*_PASSED_ON, signal.SIGCHLD)}
    child = start(command, report, handlers)
    # Who reads what the command writes must see its end.
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    status = wait(child, lifeline, woken)
    end_descendants()
    end_like(status)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

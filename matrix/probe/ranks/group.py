"""A rank group as the zygote sees it: forked ranks, one task at a time, and a watchdog."""

import itertools
import os
import re
import selectors
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from matrix.job import Job, Task
from matrix.model import Check, Failure
from matrix.probe.checks.observation import Observation
from matrix.probe.exceptions import deepest_frame
from matrix.probe.ranks import rank as worker
from matrix.probe.ranks.ipc import Child, Message, fork

START_TIMEOUT = 180.0
"""Seconds for ranks to find each other; NCCL on a busy machine is slow."""
GRACE = 3.0
"""Seconds that the other ranks have once one has raised: they wait for it in a collective, forever."""
LEAVE_TIMEOUT = 5.0
"""Seconds that a dismissed rank has to end by itself."""
STACK_TIMEOUT = 2.0
"""Seconds that a hung rank has to write its stack."""

_FRAME = re.compile(r'File "(.+)", line (\d+) in (.+)')
"""A line of faulthandler's."""

_numbers = itertools.count()
_leaving: dict[int, float] = {}
"""Dismissed ranks that have not been seen to end: process id and when they are killed."""
_codes: dict[int, int] = {}
"""The exit codes of those that have."""


class StartError(Exception):
    """The ranks could not join a process group, so nothing can be said of any model: the environment is at fault."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Group:
    """`job.world_size` forked ranks that have joined a process group; unusable once `alive` is False."""

    def __init__(self, job: Job, root: Path) -> None:
        self.job = job
        self.meeting = root / f"meeting.{os.getpid()}.{next(_numbers)}"
        self.alive = True
        self.joined = 0
        self.rss_mb = 0.0
        serve = partial(worker.serve, job, root, self.meeting)
        self.children: list[Child] = [fork(partial(serve, rank)) for rank in range(job.world_size)]

    @property
    def started(self) -> bool:
        """Whether every rank has joined."""
        return self.joined == self.job.world_size

    def run(self, task: Task) -> Observation:
        """Sends `task` to every rank and waits for all of them, at most `job.timeout` seconds."""
        observation = Observation({check: [None] * self.job.world_size for check in task.checks})
        self._send(asdict(task))
        deadline = time.monotonic() + self.job.timeout + (0.0 if self.started else START_TIMEOUT)
        waiting = self._listen("done", deadline, partial(self._take, observation))
        # Before the group has met, no model has been touched: the environment is at fault, not the case.
        if not self.started and (waiting or not self.alive):
            self.close()
            raise StartError(
                Failure("StartError", f"the ranks did not form a process group within {START_TIMEOUT:.0f} s")
            )
        if waiting or not self.alive:
            self._bury(observation, waiting)
        # Ranks that raised at different places are at different collectives: the next one would mix them up.
        elif observation.raised and not (observation.symmetric and self._healthy()):
            self.close()
        return observation

    def _send(self, message: Message) -> None:
        for child in self.children:
            # A rank that has died closes its end; its death shows when it is listened to.
            with suppress(OSError):
                child.channel.send(message)

    def _listen(self, last: str, deadline: float, take: Callable[[int, Message, float], float]) -> set[int]:
        """Pass on messages until every rank has sent `last` or is gone, or time is up; the ranks still owing it."""
        waiting = set(range(len(self.children)))
        with selectors.DefaultSelector() as selector:
            for rank, child in enumerate(self.children):
                selector.register(child.channel.socket, selectors.EVENT_READ, rank)
            while waiting and (left := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    rank, messages = key.data, self.children[key.data].channel.drain()
                    if messages is None or any(last in message for message in messages):
                        waiting.discard(rank)
                        selector.unregister(key.fileobj)
                    # The others may wait for it in a collective, and would until the backend gives up.
                    if messages is None:
                        self.alive = False
                        deadline = min(deadline, time.monotonic() + GRACE)
                    for message in messages or ():
                        deadline = take(rank, message, deadline)
        return waiting

    def _take(self, observation: Observation, rank: int, message: Message, deadline: float) -> float:
        """Notes one message and returns the deadline that it leaves to the others."""
        if "unable" in message:
            self.close()
            raise StartError(Failure(**{**message["unable"], "ranks": (rank,)}))
        if "ready" in message:
            self.joined += 1
            # Joining took time of its own, so the task's begins now.
            return time.monotonic() + self.job.timeout
        if "done" in message:
            self.rss_mb = max(self.rss_mb, message["rss_mb"])
            return deadline
        observation.outcomes[Check(message["check"])][rank] = message
        return min(deadline, time.monotonic() + GRACE) if "failure" in message else deadline

    def _healthy(self) -> bool:
        """Returns whether the ranks, which all raised the same, are fit for the next task."""
        answers: list[bool] = []

        def take(_rank: int, message: Message, deadline: float) -> float:
            answers.append(message["healthy"])
            return deadline

        self._send({"health": True})
        waiting = self._listen("healthy", time.monotonic() + GRACE, take)
        return not waiting and self.alive and all(answers)

    def _bury(self, observation: Observation, hung: set[int]) -> None:
        """Ends the remaining processes of the group and notes how each silent rank ended."""
        # Stacks first: closing the channels ends the ranks that hold them.
        for rank in hung:
            observation.ended[rank] = Failure("Hang", "no answer", self._stack(rank), (rank,))
        silent = {
            rank
            for outcomes in observation.outcomes.values()
            for rank, message in enumerate(outcomes)
            if message is None
        }
        children = self.children
        self.close()
        for rank in silent - hung:
            observation.ended[rank] = _death(rank, _exit_code(children[rank].pid))

    def _stack(self, rank: int) -> str:
        """Returns the innermost frame of a hung rank that is not ours; the rank's signal handler writes it."""
        file = Path(f"{self.meeting}.stack.{rank}")
        with suppress(ProcessLookupError):
            os.kill(self.children[rank].pid, signal.SIGUSR1)
        deadline, size = time.monotonic() + STACK_TIMEOUT, 0
        # The handler writes line by line: a file that has stopped growing is whole.
        while time.monotonic() < deadline and (size == 0 or file.stat().st_size != size):
            size = file.stat().st_size
            time.sleep(0.02)
        innermost_first = _FRAME.findall(file.read_text())
        return deepest_frame([(path, int(line), function) for path, line, function in reversed(innermost_first)])

    def close(self) -> None:
        """Closes the channels, which ends the ranks. Does not wait for them: leaving a GPU takes time."""
        self.alive = False
        for child in self.children:
            child.channel.close()
            _leaving[child.pid] = time.monotonic() + LEAVE_TIMEOUT
        self.children = []
        reap_leaving()


def reap_leaving(*, wait: bool = False) -> None:
    """Collects ranks that have ended and kills those that are late; with `wait`, until none is left."""
    while _leaving:
        for pid, deadline in list(_leaving.items()):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            # Never any child: other forks of this process are waited for elsewhere.
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del _leaving[pid]
                _codes[pid] = os.waitstatus_to_exitcode(status)
        if not wait:
            return
        time.sleep(0.01)


def _exit_code(pid: int) -> int:
    """Waits for a rank whose channel is closed and returns its exit code; negative for a signal."""
    while pid in _leaving:
        reap_leaving()
        time.sleep(0.01)
    return _codes[pid]


def _death(rank: int, code: int) -> Failure:
    """Describes the end of a rank that reported nothing; a negative `code` is a signal.

    `RankKilled` was nobody's doing but its own or the system's; an abort or an exit may follow from another rank's end.
    """
    if code < 0 and code != -signal.SIGABRT:
        return Failure("RankKilled", f"the rank was killed by {signal.Signals(-code).name}", "", (rank,))
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
    return Failure("RankDied", f"the rank {how}", "", (rank,))

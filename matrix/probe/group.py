"""A rank group as the zygote sees it: forked ranks, one task at a time, and a watchdog."""

import itertools
import os
import selectors
import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from matrix.model import Check, Failure, Job, Task
from matrix.probe import worker
from matrix.probe.channel import Child, fork

START_TIMEOUT = 180.0
"""Seconds for ranks to find each other; NCCL on a busy machine is slow."""
GRACE = 10.0
"""Seconds that the other ranks have once one has raised: they wait for it in a collective, forever."""
LEAVE_TIMEOUT = 5.0
"""Seconds that a dismissed rank has to end by itself."""
STACK_TIMEOUT = 2.0
"""Seconds that a hung rank has to write its stack."""
_LAST_FRAME = "<module>\n"

_numbers = itertools.count()
_leaving: list[tuple[int, float]] = []
"""Dismissed ranks that have not been seen to end: process id and when they are killed."""


class StartError(Exception):
    """The ranks could not join a process group, so nothing can be said of any model: the environment is at fault."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass
class Observation:
    """What the ranks told about one task: by check, each rank's `seen` or `failure` message, None where it told nothing.

    `ended` says how ranks that told nothing ended: by rank, a signal or exit, or the frame in which it hung.
    """

    outcomes: dict[Check, list[dict[str, Any] | None]]
    ended: dict[int, Failure] = field(default_factory=dict)


class Group:
    """`job.world_size` forked ranks that have joined a process group; unusable once `alive` is False."""

    def __init__(self, job: Job, root: Path) -> None:
        self.job = job
        self.meeting = root / f"meeting.{os.getpid()}.{next(_numbers)}"
        self.alive = True
        self.rss_mb = 0.0
        serve = partial(worker.serve, job, root, self.meeting)
        self.children: list[Child] = [fork(partial(serve, rank)) for rank in range(job.world_size)]

    def run(self, task: Task) -> Observation:
        """Send `task` to every rank and wait for all of them, at most `job.timeout` seconds."""
        observation = Observation({check: [None] * self.job.world_size for check in task.checks})
        for child in self.children:
            with suppress(OSError):
                child.channel.send(asdict(task))
        waiting = self._listen(observation, time.monotonic() + START_TIMEOUT + self.job.timeout)
        if waiting or not self.alive:
            self._bury(observation, waiting)
        return observation

    def _listen(self, observation: Observation, deadline: float) -> set[int]:
        """Collect messages until every rank is done or gone, or time is up; the ranks still owing an answer."""
        waiting = set(range(self.job.world_size))
        with selectors.DefaultSelector() as selector:
            for rank, child in enumerate(self.children):
                selector.register(child.channel.socket, selectors.EVENT_READ, rank)
            while waiting and (left := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    messages = self.children[key.data].channel.drain()
                    if messages is None or any("done" in message for message in messages):
                        waiting.discard(key.data)
                        selector.unregister(key.fileobj)
                    for message in messages if messages is not None else [None]:
                        deadline = self._take(observation, key.data, message, deadline)
        return waiting

    def _take(self, observation: Observation, rank: int, message: dict[str, Any] | None, deadline: float) -> float:
        """Note one message and return the deadline that it leaves to the others."""
        if message is None:
            self.alive = False
            return min(deadline, time.monotonic() + GRACE)
        if "unable" in message:
            self.close()
            raise StartError(Failure(**{**message["unable"], "ranks": (rank,)}))
        if "ready" in message:
            return time.monotonic() + self.job.timeout
        if "done" in message:
            self.alive = self.alive and message["done"]
            self.rss_mb = max(self.rss_mb, message["rss_mb"])
            return deadline
        observation.outcomes[Check(message["check"])][rank] = message
        return min(deadline, time.monotonic() + GRACE) if "failure" in message else deadline

    def _bury(self, observation: Observation, hung: set[int]) -> None:
        """End what is left of the group and note how each silent rank ended."""
        for rank in hung:
            observation.ended[rank] = Failure("Hang", "no answer", self._stack(rank), (rank,))
        silent = {
            rank for outcomes in observation.outcomes.values() for rank, told in enumerate(outcomes) if told is None
        }
        children = self.children
        self.close()
        for rank in silent - hung:
            observation.ended[rank] = Failure("RankDied", _exit_words(_reap(children[rank].pid)), "", (rank,))

    def _stack(self, rank: int) -> str:
        """Where a hung rank is: the innermost frame that is not ours, which the rank's signal handler writes."""
        file = Path(f"{self.meeting}.stack.{rank}")
        with suppress(ProcessLookupError):
            os.kill(self.children[rank].pid, signal.SIGUSR1)
        deadline = time.monotonic() + STACK_TIMEOUT
        while not file.read_text().endswith(_LAST_FRAME) and time.monotonic() < deadline:
            time.sleep(0.01)
        frames = [line.strip() for line in file.read_text().splitlines() if line.startswith("  File")]
        return next((frame for frame in frames if "matrix/probe" not in frame), "")

    def close(self) -> None:
        """Let the ranks go: they end with their channel. Nobody waits for them here, a GPU takes its time to let go."""
        self.alive = False
        for child in self.children:
            child.channel.close()
            _leaving.append((child.pid, time.monotonic() + LEAVE_TIMEOUT))
        self.children = []
        reap_leaving()


def reap_leaving(*, wait: bool = False) -> None:
    """Collect ranks that have ended and kill those that had their time; with `wait`, until none is left."""
    while _leaving:
        for entry in list(_leaving):
            pid, deadline = entry
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            if os.waitpid(pid, os.WNOHANG)[0]:
                _leaving.remove(entry)
        if not wait:
            return
        time.sleep(0.01)


def _reap(pid: int) -> int:
    """The exit code of a rank whose channel is closed, so that it is about to end; negative for a signal."""
    _leaving[:] = [entry for entry in _leaving if entry[0] != pid]
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _exit_words(code: int) -> str:
    if code < 0:
        return f"the rank was ended by {signal.Signals(-code).name}"
    return f"the rank exited with status {code}"

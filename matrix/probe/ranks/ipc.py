"""JSON messages between the zygote and the processes that it forks."""

import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from matrix.probe.startup import die_with

Message = dict[str, Any]
_Item = TypeVar("_Item")


class Channel:
    """One end of a socket pair that carries one JSON object per line."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self._rest = b""

    def send(self, message: Message) -> None:
        """Sends one message; raises BrokenPipeError when the other side is gone."""
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def drain(self) -> list[Message] | None:
        """Reads a chunk and returns the messages that it completes; None when the other side has closed or died."""
        try:
            chunk = self.socket.recv(1 << 16)
        except ConnectionResetError:
            chunk = b""
        # A message may be cut anywhere between two reads.
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [json.loads(line) for line in lines] if chunk else None

    def __iter__(self) -> Iterator[Message]:
        while (messages := self.drain()) is not None:
            yield from messages

    def close(self) -> None:
        """Closes this end: the other side reads its end."""
        _ours.discard(self)
        self.socket.close()


_ours: set[Channel] = set()
"""The parent's open ends. A forked child closes its copies: one left open would hide the end from the other side."""


def merge_channels(channels: Iterable[Channel]) -> Iterator[Message]:
    """Yields the messages of all `channels` as they come, until every other side has closed."""
    with selectors.DefaultSelector() as selector:
        for channel in channels:
            selector.register(channel.socket, selectors.EVENT_READ, channel)
        while selector.get_map():
            for key, _ in selector.select():
                messages = key.data.drain()
                if messages is None:
                    selector.unregister(key.fileobj)
                yield from messages or ()


@dataclass(frozen=True)
class Child:
    """A forked process and our end of its channel."""

    pid: int
    channel: Channel


def _renew_thread_pool() -> None:
    """Has torch make the pool of threads of this forked process, which it does at the first use.

    Two threads that use it first at the same time, as transformers' loader does, fail with "Invalid thread pool!".
    """
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def fork(work: Callable[[Channel], None]) -> Child:
    """Runs `work` in a forked process. It never returns here: whatever it does or raises, the child exits."""
    ours, theirs = socket.socketpair()
    # What is buffered here would be printed by both processes.
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        theirs.close()
        channel = Channel(ours)
        _ours.add(channel)
        return Child(pid, channel)
    die_with(parent)
    _renew_thread_pool()
    ours.close()
    for inherited in list(_ours):
        inherited.close()
    status = 1
    try:
        work(Channel(theirs))
        status = 0
    # Also SystemExit and Ctrl-C: nothing may unwind into the parent's code, which the child has a copy of.
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        # Without the interpreter's cleanup, which belongs to the parent: temporary folders, atexit handlers.
        os._exit(status)


def _answer(items: Sequence[_Item], work: Callable[[_Item], Message], channel: Channel) -> None:
    for item in items:
        channel.send(work(item))


@dataclass
class _Share(Generic[_Item]):
    """What one forked process is still to answer, and until when."""

    items: Sequence[_Item]
    child: Child
    deadline: float
    done: int = 0


def _started(items: Sequence[_Item], work: Callable[[_Item], Message], timeout: float) -> _Share[_Item]:
    return _Share(items, fork(partial(_answer, items, work)), time.monotonic() + timeout)


def _ended(share: _Share[_Item]) -> Sequence[_Item]:
    """Ends the process, if it still runs, and returns the items without an answer."""
    share.child.channel.close()
    os.kill(share.child.pid, signal.SIGKILL)  # not yet waited for, so the number is still its own
    os.waitpid(share.child.pid, 0)
    return share.items[share.done :]


def map_in_processes(
    items: Sequence[_Item], work: Callable[[_Item], Message], processes: int, timeout: float
) -> Iterator[tuple[_Item, Message | None]]:
    """Yields what `work` answers for every item, in several forked processes.

    The answer is None for an item that ended its process, or took longer than `timeout` seconds: others do not pay.
    """
    with selectors.DefaultSelector() as selector:

        def start(items: Sequence[_Item]) -> None:
            if items:
                share = _started(items, work, timeout)
                selector.register(share.child.channel.socket, selectors.EVENT_READ, share)

        for number in range(processes):
            # Every n-th and not blocks: neighbours in the list are alike, so that the large ones are spread.
            start(items[number::processes])
        while shares := [key.data for key in selector.get_map().values()]:
            ready = {id(key.data) for key, _ in selector.select(min(s.deadline for s in shares) - time.monotonic())}
            for share in shares:
                late = time.monotonic() > share.deadline
                answers = share.child.channel.drain() if id(share) in ready else None if late else []
                for answer in answers or ():
                    yield share.items[share.done], answer
                    share.done += 1
                    share.deadline = time.monotonic() + timeout
                if answers is None:
                    selector.unregister(share.child.channel.socket)
                    # The first item that it owes ended it; the rest did nothing wrong and gets a new process.
                    if owed := _ended(share):
                        yield owed[0], None
                        start(owed[1:])

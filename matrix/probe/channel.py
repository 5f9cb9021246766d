"""JSON messages between the zygote and the processes that it forks."""

import json
import os
import selectors
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]


class Channel:
    """One end of a socket pair that carries one JSON object per line."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self._rest = b""

    def send(self, message: Message) -> None:
        """Send one message; raises BrokenPipeError when the other side is gone."""
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def drain(self) -> list[Message] | None:
        """The messages that the next chunk completes, maybe none; None when the other side has closed or died."""
        try:
            chunk = self.socket.recv(1 << 16)
        except ConnectionResetError:
            chunk = b""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [json.loads(line) for line in lines] if chunk else None

    def __iter__(self) -> Iterator[Message]:
        while (messages := self.drain()) is not None:
            yield from messages

    def close(self) -> None:
        """Close this end: the other side reads its end."""
        _ours.discard(self)
        self.socket.close()


_ours: set[Channel] = set()
"""The parent's open ends. A forked child closes its copies: one left open would hide the end from the other side."""


def merged(channels: Iterable[Channel]) -> Iterator[Message]:
    """The messages of all `channels` as they come, until every other side has closed."""
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


def fork(work: Callable[[Channel], None]) -> Child:
    """Run `work` in a forked process. It never returns here: whatever it does or raises, the child exits."""
    ours, theirs = socket.socketpair()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        theirs.close()
        channel = Channel(ours)
        _ours.add(channel)
        return Child(pid, channel)
    ours.close()
    for inherited in list(_ours):
        inherited.close()
    status = 1
    try:
        work(Channel(theirs))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)

"""Confines untrusted processes: the code of a pull request, while it is built and while it is measured.

It makes command lines and variables; `matrix.process.run` starts the processes. What it promises depends on what the
machine permits, which `Sandbox.missing` lists; in full:

- the variables are an allow-list without credentials; HOME and TMPDIR are the process's own folder;
- no new privileges (setpriv), no capabilities, limits on files, and another uid where root runs it;
- its own process list: it sees and signals no process of the host, and nothing outlives it;
- every mount of the machine is read-only but its own folders; /tmp, /dev, /dev/shm and /run are its own;
- no network but its own loopback, which gloo and NCCL need; steps that download have one.

What is promised of mounts and network is tried each time before the untrusted code starts, see `matrix.process.verify`.

It is not a virtual machine: kernel, GPU, and files readable to its user are shared, so that a public repository needs
ephemeral runners as well, on which the runner's user is in no group that amounts to root, such as docker's.
What no sandbox can promise: the code under test runs inside the probe's own process, so it can forge what the probe says.
A green result is as honest as the code that was measured; what a forger gains is a wrong comment on their own change.
"""

import os
import pwd
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from matrix.errors import SandboxError
from matrix.process.bubblewrap import build_bubblewrap
from matrix.process.confinement import PROCESSES, Confinement, drop_privileges
from matrix.process.util_linux import build_full, build_network
from matrix.process.variables import filter_variables
from matrix.text import join_lines

USER: Final = "ZERO3_SANDBOX_USER"
"""Names the user that untrusted code becomes where root runs the matrix."""

_GITHUB_FOLDERS: Final = ("GITHUB_WORKSPACE", "RUNNER_WORKSPACE", "RUNNER_TEMP", "RUNNER_TOOL_CACHE")
_CACHES: Final = ("UV_CACHE_DIR", "RUSTUP_HOME")
_SEARCHED: Final = {"PATH": os.pathsep, "LD_LIBRARY_PATH": os.pathsep, "UV_FIND_LINKS": ","}

TRIAL: Final = (
    "import socket; server = socket.create_server(('127.0.0.1', 0)); socket.create_connection(server.getsockname())"
)
"""Python code that succeeds where ranks can connect to each other."""


class Isolation(StrEnum):
    """What separates the process from the machine, the strongest first.

    Namespaces for processes, mounts, IPC and network, made by bubblewrap or by util-linux; one for the network alone; none.
    """

    BUBBLEWRAP = "bubblewrap"
    NAMESPACES = "namespaces"
    NETWORK = "network"
    NONE = "none"

    @property
    def full(self) -> bool:
        """Whether the process has mounts and processes of its own."""
        return self in (Isolation.BUBBLEWRAP, Isolation.NAMESPACES)


def neutralize(words: str, limit: int = 300) -> str:
    """Returns hostile `words` as one harmless line of a CI log, of at most `limit` characters.

    It has no control characters and no `::` or `##[` workflow command.
    """
    return re.sub(r"(#|:)(?=\1)", r"\1 ", join_lines(words[:limit]))[:limit]


@dataclass(frozen=True)
class Sandbox:
    """How this machine confines untrusted code; made by `detect_sandbox`.

    In full isolation it can write to nothing but what it is given. `protected` are the places that it can still read
    where everything around them is hidden, and that it is tried not to write to.
    """

    isolation: Isolation
    user: str = ""
    protected: tuple[Path, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Sentences on what this machine does not permit, for whoever runs it."""
        root = os.geteuid() == 0 and not self.user
        sentences = {
            "the code under test can reach the network, other processes and files of this user": self.isolation
            is Isolation.NONE,
            "the code under test can reach other processes and files of this user": self.isolation is Isolation.NETWORK,
            "setpriv and prlimit (util-linux) are missing: neither privileges nor files are limited": not _tools(),
            f"the code under test runs as root: name another user in {USER}": root,
        }
        return tuple(words for words, applies in sentences.items() if applies)

    def variables(self, outer: Mapping[str, str], home: Path) -> dict[str, str]:
        """Returns all variables of an untrusted process. It copies from caches, since hardlinks would let it poison them."""
        own = {"HOME": str(home), "TMPDIR": str(home), "UV_CACHE_DIR": str(home / "uv")}
        return {
            **filter_variables(outer),
            **own,
            "UV_LINK_MODE": "copy",
            "HF_HUB_OFFLINE": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }

    def command(self, arguments: Sequence[str], writable: Sequence[Path], *, network: bool = False) -> list[str]:
        """Returns the command that runs `arguments` confined, in the first `writable` folder, with a network or only a loopback."""
        confinement = Confinement(tuple(writable), self.protected, network, os.geteuid() == 0, self.user)
        match self.isolation:
            case Isolation.BUBBLEWRAP:
                return build_bubblewrap(confinement, arguments)
            case Isolation.NAMESPACES:
                return build_full(confinement, arguments)
            case Isolation.NETWORK if not network:
                return build_network(confinement, arguments)
        return [*self._limited(root=confinement.root), *arguments]

    def _limited(self, *, root: bool) -> list[str]:
        if not _tools():
            return []
        return [*drop_privileges(self.user, bounded=root), *([PROCESSES] if self.user else [])]

    def give(self, folder: Path) -> None:
        """Makes the untrusted user own `folder` and all that is in it, until `take`."""
        if self.user:
            _own(folder, pwd.getpwnam(self.user).pw_uid)

    def take(self, folder: Path) -> None:
        """Owns `folder` again: from now on untrusted code can only read it."""
        if self.user:
            _own(folder, os.geteuid())


def _tools() -> bool:
    return bool(shutil.which("setpriv") and shutil.which("prlimit"))


def _own(folder: Path, uid: int) -> None:
    os.chown(folder, uid, -1)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(parent, name), uid, -1, follow_symlinks=False)


def _find_places(outer: Mapping[str, str]) -> Iterator[Path]:
    """Yields home, the folders of GitHub's runner, and where Python, programs, libraries and wheels are.

    What the host runs, and what a process needs to start at all.
    """
    named = [Path(outer[name]) for name in ("HOME", *_GITHUB_FOLDERS, *_CACHES) if outer.get(name)]
    # In the first are the files by which a step sets variables of later steps; above, actions and the runner.
    yield from (folder.parents[1] for folder in named if folder.parts[-2:] == ("_work", "_temp"))
    yield from named
    yield from map(Path, (sys.prefix, sys.base_prefix, *filter(None, sys.path), "/etc/resolv.conf"))
    for name, separator in _SEARCHED.items():
        yield from (Path(path) for path in outer.get(name, "").split(separator) if path.startswith("/"))


def _protect(places: Iterable[Path]) -> tuple[Path, ...]:
    found = dict.fromkeys(place.resolve() for place in places)
    # `Path.exists` raises for what this user may not look into, as a folder in PATH can be.
    return tuple(place for place in found if os.path.exists(place) and place != Path("/"))  # noqa: PTH110


def detect_sandbox(works: Callable[[Sandbox], bool], outer: Mapping[str, str], protected: Iterable[Path]) -> Sandbox:
    """Returns the strongest sandbox that `works` here: a trial of it is run.

    Raises SandboxError when the user of ZERO3_SANDBOX_USER is unknown, cannot be switched to, or cannot run this Python.
    """
    user = outer.get(USER, "")
    if user and user not in {entry.pw_name for entry in pwd.getpwall()}:
        raise SandboxError(f"{USER}={user}: there is no such user")
    if user and os.geteuid() != 0:
        raise SandboxError(f"{USER}={user}: only root can become another user; unset it, or run as that user")
    places = _protect((*protected, *_find_places(outer)))
    found = next((one for level in Isolation if works(one := Sandbox(level, user, places))), None)
    if found is None:
        who = user or "its own user"
        raise SandboxError(f"{sys.executable} does not run confined: can {who} read it, and what it is installed in?")
    return found

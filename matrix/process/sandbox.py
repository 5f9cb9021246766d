"""Confines untrusted processes: the code of a pull request, while it is built and while it is measured.

It makes command lines and variables; `matrix.process.run` starts the processes. What it promises depends on what the
machine permits, which `Sandbox.missing` lists; in full:

- the variables are an allow-list without credentials; HOME and TMPDIR are the process's own folder;
- no new privileges (setpriv), no capabilities, limits on files, and another uid where root runs it;
- its own process list: it sees and signals no process of the host, and nothing outlives it;
- home, workspace, caches, results and the environments of other sides are read-only;
- no network at test time but its own loopback, which gloo and NCCL need. Building has the network.

It is not a virtual machine: kernel, devices, /tmp, and files readable to its user are shared, so that a public repository needs
ephemeral runners as well, on which the runner's user is in no group that amounts to root, such as docker's.
What no sandbox can promise: the code under test runs inside the probe's own process, so it can forge what the probe says.
A green result is as honest as the code that was measured; what a forger gains is a wrong comment on their own change.
"""

import os
import pwd
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from matrix.errors import SandboxError
from matrix.text import join_lines

USER: Final = "ZERO3_SANDBOX_USER"
"""Names the user that untrusted code becomes where root runs the matrix."""

# fmt: off
_NAMES: Final = frozenset({
    "PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO",
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_STRATEGY", "UV_FIND_LINKS", "UV_INSECURE_HOST", "UV_TORCH_BACKEND",
    "UV_EXCLUDE_NEWER", "UV_HTTP_TIMEOUT", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "UV_OFFLINE",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
})
# fmt: on
_PREFIXES: Final = ("LC_", "CUDA", "NCCL_", "NVIDIA_", "GLOO_")
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]*@")
_GIT_SETTING: Final = re.compile(r"url\..*\.insteadof|safe\.directory", re.IGNORECASE)
_GITHUB_FOLDERS: Final = ("GITHUB_WORKSPACE", "RUNNER_WORKSPACE", "RUNNER_TEMP", "RUNNER_TOOL_CACHE", "UV_CACHE_DIR")

_LIMITS: Final = ("--core=0", f"--fsize={2 << 30}", "--nofile=8192")
_LOOPBACK: Final = (  # SIOCSIFFLAGS with IFF_UP and IFF_RUNNING: slim images have no `ip`
    "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 0x41))"
)
TRIAL: Final = (
    "import socket; server = socket.create_server(('127.0.0.1', 0)); socket.create_connection(server.getsockname())"
)
"""Python code that succeeds where ranks can connect to each other."""


class Isolation(StrEnum):
    """The namespaces that the kernel permits, strongest first: for processes, mounts and network; for the network; none."""

    FULL = "full"
    NETWORK = "network"
    NONE = "none"

    def flags(self, *, network: bool) -> tuple[str, ...]:
        """Returns the flags of `unshare` for a process with or without a network."""
        own = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc") if self is Isolation.FULL else ()
        return own if network or self is Isolation.NONE else (*own, "--net")


def _git_settings(outer: Mapping[str, str]) -> dict[str, str]:
    """Returns git's mirrors from its variables (GIT_CONFIG_COUNT), without other settings, which can be tokens."""
    count = outer.get("GIT_CONFIG_COUNT", "")
    numbers = range(min(int(count), 100)) if count.isdecimal() else ()
    pairs = [(outer.get(f"GIT_CONFIG_KEY_{n}", ""), outer.get(f"GIT_CONFIG_VALUE_{n}", "")) for n in numbers]
    # A mirror's address may hold a password as well, here in the key: url.<address>.insteadOf.
    kept = [(key, value) for key, value in pairs if _GIT_SETTING.fullmatch(key) and not _CREDENTIALS.search(key)]
    named = {f"GIT_CONFIG_KEY_{n}": key for n, (key, _) in enumerate(kept)}
    values = {f"GIT_CONFIG_VALUE_{n}": value for n, (_, value) in enumerate(kept)}
    return {"GIT_CONFIG_COUNT": str(len(kept)), **named, **values} if kept else {}


def filter_variables(outer: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of `outer` that untrusted code may see, without the credentials in their addresses."""
    kept = {name: value for name, value in outer.items() if name in _NAMES or name.startswith(_PREFIXES)}
    return {name: _CREDENTIALS.sub("", value) for name, value in (kept | _git_settings(outer)).items()}


def neutralize(words: str, limit: int = 300) -> str:
    """Returns hostile `words` as one harmless line of a CI log, of at most `limit` characters.

    It has no control characters and no `::` or `##[` workflow command.
    """
    return re.sub(r"(#|:)(?=\1)", r"\1 ", join_lines(words[:limit]))[:limit]


@dataclass(frozen=True)
class Sandbox:
    """How this machine confines untrusted code; made by `detect_sandbox`. `protected` folders are read-only to it."""

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
        flags = self.isolation.flags(network=network)
        limited = [*self._privileges(own_user=bool(flags)), *arguments]
        if not flags:
            return limited
        # Mounting needs root, which a user is only inside a user namespace of their own.
        mapped = ("--map-root-user",) if os.geteuid() else ()
        return ["unshare", *mapped, *flags, "sh", "-c", self._script(flags, writable), "sh", *limited]

    def _script(self, flags: Sequence[str], writable: Sequence[Path]) -> str:
        """Returns the shell script that runs inside, before privileges are dropped.

        The shell stays, as the parent that nothing inside can end.
        """
        lines = [f"{shlex.quote(sys.executable)} -I -c {shlex.quote(_LOOPBACK)}"] if "--net" in flags else []
        if "--mount" in flags:
            # Writable ones first: what is a mount of its own stays writable when a folder above becomes read-only.
            lines += [f"mount --bind {folder} {folder}" for folder in map(_quoted, writable)]
            lines += [_read_only(folder) for folder in self.protected if folder.is_dir()]
        # The folder a process is in stays below what is mounted there later, and `..` would lead out: enter it again.
        return "; ".join(["set -e", *lines, f"cd {_quoted(writable[0])}", 'status=0; "$@" || status=$?; exit $status'])

    def _privileges(self, *, own_user: bool) -> list[str]:
        if not _tools():
            return []
        root = os.geteuid() == 0
        dropped = ["--bounding-set=-all", "--inh-caps=-all"] if root or own_user else []
        setpriv = ["setpriv", "--no-new-privs", *dropped]
        if not self.user:
            return [*setpriv, "prlimit", *_LIMITS]
        became = [f"--reuid={self.user}", f"--regid={pwd.getpwnam(self.user).pw_gid}", "--init-groups"]
        return [
            *setpriv,
            *became,
            "prlimit",
            *_LIMITS,
            "--nproc=4096",
        ]  # counts all of a user's: not for the runner's own

    def give(self, folder: Path) -> None:
        """Makes the untrusted user own `folder` and all that is in it, until `take`."""
        if self.user:
            _own(folder, pwd.getpwnam(self.user).pw_uid)

    def take(self, folder: Path) -> None:
        """Owns `folder` again: from now on untrusted code can only read it."""
        if self.user:
            _own(folder, os.geteuid())


def _quoted(folder: Path) -> str:
    return shlex.quote(str(folder.resolve()))


def _read_only(folder: Path) -> str:
    """Returns the command that makes `folder` read-only in this namespace, except what is mounted there already."""
    locked = {
        os.ST_NOSUID: "nosuid",
        os.ST_NODEV: "nodev",
        os.ST_NOEXEC: "noexec",
    }  # a user namespace cannot clear these
    options = ["remount", "bind", "ro", *(name for flag, name in locked.items() if os.statvfs(folder).f_flag & flag)]
    return f"mount --rbind {_quoted(folder)} {_quoted(folder)}; mount -o {','.join(options)} {_quoted(folder)}"


def _tools() -> bool:
    return bool(shutil.which("setpriv") and shutil.which("prlimit"))


def _own(folder: Path, uid: int) -> None:
    os.chown(folder, uid, -1)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(parent, name), uid, -1, follow_symlinks=False)


def _protected(outer: Mapping[str, str], more: Iterable[Path]) -> tuple[Path, ...]:
    """Returns home and the folders of GitHub's runner, with the files in which a step sets variables of later steps."""
    named = [Path(outer[name]) for name in ("HOME", *_GITHUB_FOLDERS) if outer.get(name)]
    named += [folder.parents[1] for folder in named if folder.parts[-2:] == ("_work", "_temp")]  # actions, the runner
    folders = [folder.resolve() for folder in (*named, *more)]
    return tuple(dict.fromkeys(folder for folder in folders if folder.is_dir() and folder != Path("/")))


def detect_sandbox(works: Callable[[Sandbox], bool], outer: Mapping[str, str], protected: Iterable[Path]) -> Sandbox:
    """Returns the strongest sandbox that `works` here: a trial of it is run.

    Raises SandboxError when the user of ZERO3_SANDBOX_USER is unknown, cannot be switched to, or cannot run this Python.
    """
    user = outer.get(USER, "")
    if user and user not in {entry.pw_name for entry in pwd.getpwall()}:
        raise SandboxError(f"{USER}={user}: there is no such user")
    if user and os.geteuid() != 0:
        raise SandboxError(f"{USER}={user}: only root can become another user; unset it, or run as that user")
    folders = _protected(outer, protected)
    found = next((one for level in Isolation if works(one := Sandbox(level, user, folders))), None)
    if found is None:
        who = user or "its own user"
        raise SandboxError(f"{sys.executable} does not run confined: can {who} read it, and what it is installed in?")
    return found

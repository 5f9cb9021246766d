"""What an untrusted process may do: one description, which `bubblewrap` and `util_linux` carry out, each in its way.

Everything is read-only but for what is named here, so that nothing which the host runs or imports later has to be listed.
"""

import json
import pwd
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MIB: Final = 1 << 20
PRIVATE: Final = {"/tmp": 1024 * _MIB, "/var/tmp": 1024 * _MIB, "/dev/shm": 4096 * _MIB, "/run": _MIB}  # noqa: S108
"""Folders that are empty, its own, and gone with it, and how many bytes they take. Others could be reached through them:
files of everybody, segments of memory, and sockets. NCCL and torch use /dev/shm, some ten MB for each rank."""

_PLAIN: Final = ("null", "zero", "full", "random", "urandom", "tty")
_GPU: Final = ("nvidia*", "nvidia*/*", "kfd", "dri/*", "infiniband/*")
"""Patterns below /dev; infiniband is what GPUs of several machines talk over."""
LIMITS: Final = ("--core=0", f"--fsize={2048 * _MIB}", "--nofile=8192")
"""prlimit's arguments: no core files, and for each process bytes of a file and open files."""
PROCESSES: Final = "--nproc=4096"
"""Processes of a user, in one user namespace: not for the runner's own user without one, whose others count."""
FIRST_TO_END: Final = ("choom", "--adjust", "1000", "--")
"""When memory is short the kernel ends this first. Where root with CAP_SYS_RESOURCE started it, nothing inside can undo it."""
_VERIFY: Final = Path(__file__).with_name("verify.py")


@dataclass(frozen=True)
class Confinement:
    """What one untrusted process may do.

    `writable` are the folders it may change; it works in the first. `protected` ones it can read, also below a private
    folder. With `network` it has the host's, without one a loopback of its own. `root` starts it, and it becomes `user`.
    """

    writable: tuple[Path, ...]
    protected: tuple[Path, ...] = ()
    network: bool = False
    root: bool = False
    user: str = ""

    @property
    def private(self) -> dict[str, int]:
        """The folders of `PRIVATE` that are folders of their own here, with their bytes."""
        return {path: size for path, size in PRIVATE.items() if Path(path).is_dir() and not Path(path).is_symlink()}

    @property
    def devices(self) -> list[str]:
        """The devices that it needs, never a folder of them; those of a GPU are found by their names."""
        found = (device for name in (*_PLAIN, *_GPU) for device in Path("/dev").glob(name))
        return sorted(str(device) for device in found if device.is_char_device())

    @property
    def kernel(self) -> list[str]:
        """What is in /proc apart from processes: settings of the kernel. Root may change them without capabilities."""
        entries = Path("/proc").iterdir()
        return sorted(str(path) for path in entries if not path.name.isdecimal() and not path.is_symlink())

    @property
    def shown(self) -> list[str]:
        """The protected files and folders that a private folder would hide, the uppermost first."""
        hidden = {str(path) for path in map(_resolved, self.protected) for top in self.private if _is_in(path, top)}
        return sorted(hidden, key=lambda path: path.count("/"))

    @property
    def changed(self) -> list[str]:
        """The folders that it may change, the uppermost first."""
        return sorted({str(_resolved(path)) for path in self.writable}, key=lambda path: path.count("/"))

    @property
    def ways(self) -> list[str]:
        """The folders in private ones and /dev that lead to what is there, the uppermost first."""
        leading = {parent for path in (*self.devices, *self.shown, *self.changed) for parent in Path(path).parents}
        return sorted(str(parent) for parent in leading if any(_is_in(parent, top) for top in ("/dev", *self.private)))

    @property
    def folder(self) -> str:
        """The folder that it works in."""
        return str(_resolved(self.writable[0]))

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Returns the command for inside: privileges go, limits come, what is promised is tried, then `arguments` run."""
        promised = {
            "folder": self.folder,
            "writable": self.changed,
            "private": [*self.private],
            "protected": [str(path) for path in map(_resolved, self.protected) if path.is_dir()],
            "network": self.network,
        }
        verify = [sys.executable, "-I", "-S", "-c", _VERIFY.read_text(encoding="utf-8"), json.dumps(promised)]
        return [*drop_privileges(self.user, bounded=True), PROCESSES, *verify, *arguments]


def drop_privileges(user: str, *, bounded: bool) -> list[str]:
    """Returns the beginning of a command that gives up all privileges and gets limits; more limits may follow.

    It becomes `user`, if any. Only a process with capabilities can give them up for ever (`bounded`).
    """
    dropped = ["--bounding-set=-all", "--inh-caps=-all"] if bounded else []
    became = [f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--init-groups"] if user else []
    return ["setpriv", "--no-new-privs", *dropped, *became, "prlimit", *LIMITS]


def _resolved(path: Path) -> Path:
    return path.resolve()


def _is_in(path: Path, top: str) -> bool:
    return Path(top) in path.parents

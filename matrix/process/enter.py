"""Carries out a confinement inside new namespaces: what util-linux cannot do by itself. Standard library only.

Run as root of the namespaces, by the interpreter alone: python -I enter.py PLAN COMMAND... Every mount becomes read-only,
whatever it is; what is writable is mounted again on top. It stays, as the parent that nothing inside can end.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import TypedDict

# Numbers of calls from 2019 on are the same on every architecture; util-linux knows the last one only from 2.39 on.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_HERE, _RECURSIVE, _CLONE, _CLOSE_ON_EXEC, _EMPTY_PATH, _READ_ONLY = -100, 0x8000, 1, 0o2000000, 4, 1
_NO_SUID, _NO_DEVICES = 2, 4
_LIBC = ctypes.CDLL(None, use_errno=True)


class Plan(TypedDict):
    """What `matrix.process.util_linux` asks for, as JSON: paths, and for private folders their bytes."""

    folder: str
    writable: list[str]
    shown: list[str]
    devices: list[str]
    kernel: list[str]
    private: dict[str, int]
    mounts: bool
    loopback: bool


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _call(number: int, what: str, *values: object) -> int:
    return _checked(_LIBC.syscall(ctypes.c_long(number), *values), what)


def copy_tree(path: str) -> int:
    """Returns a descriptor of a copy of the mounts at and below `path`, with the flags that they have now."""
    flags = _CLONE | _CLOSE_ON_EXEC | _RECURSIVE
    return _call(_OPEN_TREE, path, ctypes.c_int(_HERE), os.fsencode(path), ctypes.c_uint(flags))


def put_back(tree: int, path: str, *, folder: bool) -> None:
    """Mounts a copied tree at `path`, which is made where a private folder hides it."""
    place = Path(path)
    if not place.exists():
        (place if folder else place.parent).mkdir(parents=True, exist_ok=True)
        if not folder:
            place.touch()
    places = (ctypes.c_int(tree), b"", ctypes.c_int(_HERE), os.fsencode(path))
    _call(_MOVE_MOUNT, path, *places, ctypes.c_uint(_EMPTY_PATH))


def make_read_only(path: str, flags: int = 0) -> None:
    """Makes the mount at `path` read-only, and with _RECURSIVE every mount below it, which a remount would not change."""
    attributes = struct.pack("QQQQ", _READ_ONLY, 0, 0, 0)
    size = ctypes.c_size_t(len(attributes))
    _call(_MOUNT_SETATTR, path, ctypes.c_int(_HERE), os.fsencode(path), ctypes.c_uint(flags), attributes, size)


def make_private(path: str, size: int, mode: str = "1777") -> None:
    """Mounts an empty folder of at most `size` bytes at `path`."""
    # Inodes cost memory of the kernel, which `size` does not count. bubblewrap has no such option.
    options = f"size={size},mode={mode},nr_inodes=100000".encode()
    flags = ctypes.c_ulong(_NO_SUID | _NO_DEVICES)
    _checked(_LIBC.mount(b"tmpfs", os.fsencode(path), b"tmpfs", flags, options), path)


def raise_loopback() -> None:
    """Raises the loopback interface (SIOCSIFFLAGS with IFF_UP and IFF_RUNNING): slim images have no `ip`."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x41))


def make_devices() -> None:
    """Makes /dev a folder without devices: one that is left in it may be the disk, or lead to another process."""
    make_private("/dev", 1 << 20, "755")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        Path("/dev", name).symlink_to(f"/proc/self/fd/{number}")
    Path("/dev/fd").symlink_to("/proc/self/fd")


def enter(plan: Plan) -> None:
    """Makes the mounts of this namespace those of `plan`."""
    folders = {path: Path(path).is_dir() for path in (*plan["devices"], *plan["shown"], *plan["writable"])}
    writable = {path: copy_tree(path) for path in (*plan["devices"], *plan["writable"])}
    processes = copy_tree("/proc")
    make_read_only("/", _RECURSIVE)
    put_back(processes, "/proc", folder=True)  # CUDA does not start where it cannot name its threads there
    for path in plan["kernel"]:
        put_back(copy_tree(path), path, folder=True)
        make_read_only(path)
    trees = {path: copy_tree(path) for path in plan["shown"]} | writable
    make_devices()
    for path, size in plan["private"].items():
        Path(path).mkdir(exist_ok=True)
        make_private(path, size)
    for path, tree in trees.items():
        put_back(tree, path, folder=folders[path])
    make_read_only("/dev")


def be_parent(command: list[str]) -> int:
    """Runs `command`, reaps whatever it leaves behind, and returns its exit status as a shell would."""
    default = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores them, and what it starts would
    child = os.posix_spawnp(command[0], command, os.environ, setsigdef=default)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the first process of a namespace is spared what it does not handle
    while (ended := os.wait())[0] != child:
        pass
    code = os.waitstatus_to_exitcode(ended[1])
    return code if code >= 0 else 128 - code


def main(plan: Plan, command: list[str]) -> int:
    """Enters the confinement and runs `command` in it."""
    if plan["loopback"]:
        raise_loopback()
    if plan["mounts"]:
        enter(plan)
    os.chdir(plan["folder"])  # not where the folder was before something was mounted on it
    return be_parent(command)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1]), sys.argv[2:]))

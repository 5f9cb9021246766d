"""Tries what a confinement must not permit, as the untrusted process, and then becomes it. Standard library only.

Run inside by the interpreter alone: python -I -c TEXT JSON COMMAND... What is announced has been tried: into every mount,
and every protected folder, that is not to be written to, something is written; without a network, one is looked for.
A private folder may be written to, what is mounted in it may not.
"""

import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path


def mount_points() -> Iterator[str]:
    """Yields where a mount is that no other hides; the kernel writes spaces and the like as octal escapes."""
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    for line in text.splitlines():
        number, _, _, _, escaped = line.split(" ")[:5]
        path = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), escaped)
        if mount_number(path) == number:
            yield path


def mount_number(path: str) -> str:
    """Returns the kernel's number of the mount that `path` is in, "" where nothing can be found there."""
    try:
        opened = os.open(path, os.O_PATH)
    except OSError:
        return ""
    try:
        text = Path(f"/proc/self/fdinfo/{opened}").read_text(encoding="utf-8")
    finally:
        os.close(opened)
    return text.partition("mnt_id:")[2].split()[0]


def is_below(path: Path, folders: list[str]) -> bool:
    """Tests whether `path` is one of `folders` or in one."""
    return any(path.is_relative_to(folder) for folder in folders)


def can_write(path: Path) -> bool:
    """Tests, by doing it, whether a folder takes a new entry or a file can be opened to be changed."""
    attempt = path / f".zero3-{os.getpid()}"
    try:
        if path.is_dir():
            attempt.mkdir()
            attempt.rmdir()
        elif path.is_file():
            path.open("ab").close()
        else:
            return False  # a device, a socket, or hidden by another mount
    except OSError:
        return False
    return True


def has_route() -> bool:
    """Tests whether anything leads out of this machine, to an address for documentation; nothing is sent."""
    for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, 9))
        except OSError:
            continue
        return True
    return False


def problems(writable: list[str], private: list[str], protected: list[str], *, network: bool) -> Iterator[str]:
    """Yields what the confinement permits and should not."""
    for path in map(Path, dict.fromkeys((*mount_points(), *protected))):
        if str(path) not in private and not is_below(path, writable) and can_write(path):
            yield f"{path} can be written to"
    if not network and has_route():
        yield "there is a network"


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    os.chdir(asked.pop("folder"))
    found = list(problems(**asked))
    if found:
        sys.exit("the confinement does not hold: " + ", ".join(found))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - it is what this is for

"""Carries out a confinement with bubblewrap, https://github.com/containers/bubblewrap, where the machine has it."""

from collections.abc import Iterator, Sequence

from matrix.process.confinement import FIRST_TO_END, Confinement

_NEEDED_TO_CHANGE_USER = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
"""Given up by setpriv, which becomes the other user, before anything untrusted runs."""


def build_bubblewrap(confinement: Confinement, arguments: Sequence[str]) -> list[str]:
    """Returns the command that runs `arguments` confined."""
    # Not into the process's own folder: without capabilities root may not enter what belongs to another user.
    options = [*_namespaces(confinement), *_mounts(confinement), "--chdir", "/"]
    return [*FIRST_TO_END, "bwrap", *options, "--", *confinement.command(arguments)]


def _namespaces(confinement: Confinement) -> Iterator[str]:
    yield from ("--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
    if not confinement.network:
        yield "--unshare-net"  # with a loopback that is up
    if confinement.root:
        yield from ("--cap-drop", "ALL")
        for name in _NEEDED_TO_CHANGE_USER:
            yield from ("--cap-add", name)
    else:
        yield from ("--unshare-user", "--disable-userns")


def _mounts(confinement: Confinement) -> Iterator[str]:
    yield from ("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev")
    # A user could change settings of its own namespaces, and root more than that.
    for path in confinement.kernel:
        yield from ("--ro-bind", path, path)
    # It has no option for the number of files, which is the kernel's own limit.
    for path, size in confinement.private.items():
        yield from ("--perms", "1777", "--size", str(size), "--tmpfs", path)
    for folder in confinement.ways:
        yield from ("--perms", "0755", "--dir", folder)  # bubblewrap would make them for root alone
    for device in confinement.devices:
        yield from ("--dev-bind", device, device)
    yield from ("--remount-ro", "/dev")
    for path in confinement.shown:
        yield from ("--ro-bind", path, path)
    for path in confinement.changed:
        yield from ("--bind", path, path)

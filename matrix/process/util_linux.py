"""Carries out a confinement with unshare, setpriv and prlimit of util-linux, and `enter`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matrix.process.confinement import FIRST_TO_END, PROCESSES, Confinement, drop_privileges

_ENTER: Final = Path(__file__).with_name("enter.py")
_NETWORK: Final = ("--ipc", "--uts", "--net")
_FULL: Final = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--ipc", "--uts")


def build_full(confinement: Confinement, arguments: Sequence[str]) -> list[str]:
    """Returns the command that runs `arguments` confined."""
    flags = _FULL if confinement.network else (*_FULL, "--net")
    return [*_entered(confinement, flags, mounts=True), *confinement.command(arguments)]


def build_network(confinement: Confinement, arguments: Sequence[str]) -> list[str]:
    """Returns the command that runs `arguments` without a network, where the kernel permits no more."""
    inside = [*drop_privileges(confinement.user, bounded=True), PROCESSES, *arguments]
    return [*_entered(confinement, _NETWORK, mounts=False), *inside]


def _entered(confinement: Confinement, flags: Sequence[str], *, mounts: bool) -> list[str]:
    plan = {
        "folder": confinement.folder,
        "writable": confinement.changed,
        "shown": confinement.shown,
        "devices": confinement.devices,
        "kernel": confinement.kernel,
        "private": confinement.private,
        "mounts": mounts,
        "loopback": "--net" in flags,
    }
    # Mounting needs root, which a user is only inside a user namespace of their own.
    mapped = () if confinement.root else ("--map-root-user",)
    return [*FIRST_TO_END, "unshare", *mapped, *flags, sys.executable, "-I", str(_ENTER), json.dumps(plan)]

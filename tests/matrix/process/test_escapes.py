"""Escapes, really tried: in every mode of confinement that this machine permits, and without one, where they succeed."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pytest

from bot.commands.documents import table
from matrix.process.bubblewrap import build_bubblewrap
from matrix.process.confinement import Confinement, drop_privileges
from matrix.process.run import ROOT
from matrix.process.temporary import temporary_folder
from matrix.process.util_linux import build_full, build_network
from tests.matrix.process.escapes import (
    FILES,
    FIRST,
    FULL,
    KEYS,
    MEMORY,
    NETWORK,
    PRELUDE,
    PRIVILEGES,
    PROCESSES,
    SHARED,
)

NOBODY: Final = 65534
PYTHON: Final = "/usr/bin/python3"
"""An interpreter that every user can read."""
ALL: Final = {**FULL, **FIRST, **FILES, **MEMORY, **NETWORK, **KEYS, **PRIVILEGES, **PROCESSES, **SHARED}
HARMLESS: Final = {
    name: code
    for name, code in {**FULL, **NETWORK}.items()
    if name.partition(" ")[0] in ("write", "change", "append", "truncate", "set", "link", "signal", "connect", "see")
    and not name.endswith(
        ("disk", "core_pattern", "program", "near the root", "first process", "first process's memory")
    )
} | {name: FULL[name] for name in ("leave a file in /tmp", "leave a file in /var/tmp", "leave a file in /dev/shm")}
"""Programs that do no harm where they get out, so that they can show that they do."""
_RUN: Final = r"""
results = {}
for name, code in json.loads(sys.stdin.read()).items():
    reading, writing = os.pipe()
    if not os.fork():
        os.dup2(writing, 3)
        os.closerange(4, 100)
        signal.alarm(20)
        try:
            exec(code)
            said = "escaped"
        except SystemExit:
            said = "escaped"
        except OSError as error:
            said = f"held: {error}"
        except BaseException as error:
            said = f"broken: {error!r}"
        os.closerange(4, 100)  # a process that may open no more can still say so
        os.write(3, said.encode())
        os._exit(0)
    os.close(writing)
    results[name] = b"" if not select.select([reading], [], [], 30)[0] else os.read(reading, 500)
    results[name] = results[name].decode() or "broken: it ended without a word"
    os.close(reading)
print(json.dumps(results))
"""


def build_none(confinement: Confinement, arguments: Sequence[str]) -> list[str]:
    return [*drop_privileges(confinement.user, bounded=confinement.root), *arguments]


@dataclass(frozen=True)
class Mode:
    """A confinement, and who starts it: root, who becomes `user` if any, or a user without privileges."""

    name: str
    build: Callable[[Confinement, Sequence[str]], list[str]]
    root: bool = False
    user: str = ""

    @property
    def promised(self) -> dict[str, str]:
        """The escapes that are held."""
        limits = {} if self.root and not self.user else PROCESSES
        keys = {} if self.root else KEYS
        memory = MEMORY if self.root else {}
        own = {**FIRST, **FILES} if self.build is build_full else {}
        return {
            **({} if self.build is build_network else FULL),
            **own,
            **memory,
            **NETWORK,
            **keys,
            **PRIVILEGES,
            **limits,
        }


MODES: Final = (
    Mode("bubblewrap, root becomes a user", build_bubblewrap, root=True, user="nobody"),
    Mode("bubblewrap, root alone", build_bubblewrap, root=True),
    Mode("bubblewrap, a user", build_bubblewrap),
    Mode("namespaces, root becomes a user", build_full, root=True, user="nobody"),
    Mode("namespaces, root alone", build_full, root=True),
    Mode("namespaces, a user", build_full),
    Mode("network, a user", build_network),
)
UNCONFINED: Final = Mode("none, a user", build_none)


@dataclass(frozen=True)
class Outside:
    """What escapes aim at: `kept` is protected, `below` a mount in it, `unlisted` belongs to the user and is named nowhere."""

    kept: str
    below: str
    unlisted: str
    own: str
    pid: int
    port: int
    abstract: str
    socket: str
    interfaces: list[str]
    daemon: str


@contextmanager
def outside(mode: Mode) -> Iterator[Outside]:
    """Makes everything, owned by whoever the untrusted code is: only the confinement holds it back."""
    uid = NOBODY if os.geteuid() == 0 and (mode.user or not mode.root) else os.geteuid()
    with ExitStack() as stack:
        stage = stack.enter_context(temporary_folder("escapes"))
        folders = [stage / name for name in ("kept", "kept/below", "unlisted", "own")]
        for folder in folders:
            folder.mkdir()
        (stage / "kept" / "file").write_text("as it was")
        os.mkfifo(stage / "kept" / "pipe")
        local = stack.enter_context(socket.socket(socket.AF_UNIX))
        local.bind(str(stage / "socket"))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0{stage.name}")
        port = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        for listening in (local, abstract):
            listening.listen()
        for path in (stage, *stage.rglob("*")):
            os.chown(path, uid, uid)
        sleeper = subprocess.Popen([*become(mode), "sleep", "60"])
        stack.callback(sleeper.wait)
        stack.callback(sleeper.kill)
        interfaces = [name for _, name in socket.if_nameindex() if name != "lo"] or ["none"]
        kept, below, unlisted, own = map(str, folders)
        yield Outside(
            kept=kept, below=below, unlisted=unlisted, own=own, pid=sleeper.pid, port=port.getsockname()[1],
            abstract=stage.name, socket=str(stage / "socket"), interfaces=interfaces, daemon=stage.name,
        )  # fmt: skip


def become(mode: Mode) -> list[str]:
    """The command that starts as the user of `mode`, who has no privileges."""
    if os.geteuid() or (mode.root and not mode.user):
        return []
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def attempt(mode: Mode, at: Outside, escapes: Mapping[str, str]) -> dict[str, str]:
    """Tries `escapes` in one confined process and returns what became of each."""
    confinement = Confinement((Path(at.own),), (Path(at.kept),), root=mode.root, user=mode.user)
    command = mode.build(confinement, [PYTHON, "-I", "-c", PRELUDE + _RUN, json.dumps(asdict(at))])
    mounted = ["sh", "-ec", f'mount -t tmpfs -o mode=777 tmpfs {at.below}; exec "$@"', "sh"]
    privileged = ["unshare", "--mount", *mounted] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*privileged, *([] if mode.root else become(mode)), *command],
        input=json.dumps(escapes), capture_output=True, text=True, check=False, start_new_session=True,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    results: dict[str, str] = json.loads(done.stdout)
    return results


@pytest.fixture(autouse=True)
def an_interpreter_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", PYTHON)


def require(mode: Mode) -> None:
    if mode.root and os.geteuid():
        pytest.skip("only root confines as root")
    if mode.build is build_bubblewrap and not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")


def held_here(mode: Mode) -> dict[str, str]:
    """The escapes of `mode` that are held with what this machine's root may do: in a container it has less privileges."""
    resource = 1 << 24  # CAP_SYS_RESOURCE
    status = Path("/proc/self/status").read_text()
    has = int(status.partition("CapEff:")[2].split()[0], 16) & resource
    return {name: code for name, code in mode.promised.items() if has or name not in MEMORY}


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_no_escape_gets_out(mode: Mode) -> None:
    require(mode)
    with outside(mode) as at:
        promised = held_here(mode)
        attempt(mode, at, promised)
        # Once more, for what one confined process leaves and the next one finds.
        results = attempt(mode, at, {name: code for name, code in promised.items() if "too long" not in name})
        assert {name: said for name, said in results.items() if not said.startswith("held")} == {}
        assert Path(at.kept, "file").read_text() == "as it was"
        assert not [line for line in processes_with(at.daemon) if mode.build is not build_network]


def test_the_same_programs_get_out_where_nothing_confines_them() -> None:
    with outside(UNCONFINED) as at:
        first, second = attempt(UNCONFINED, at, HARMLESS), attempt(UNCONFINED, at, HARMLESS)
    for name in HARMLESS:
        if name.startswith("leave a file in"):
            Path(name.rpartition(" ")[2], "zero3-escape").unlink(missing_ok=True)
    assert {name: said for name, said in first.items() if "escaped" not in (said, second[name])} == {}


@pytest.mark.parametrize("mode", [mode for mode in MODES if not mode.root], ids=lambda mode: mode.name)
def test_what_no_mode_promises_gets_out(mode: Mode) -> None:
    require(mode)
    with outside(mode) as at:
        assert attempt(mode, at, SHARED) == dict.fromkeys(SHARED, "escaped")


def test_the_documentation_has_what_is_tried_and_promised() -> None:
    text = (ROOT / "docs/sandbox.md").read_text(encoding="utf-8")
    head = ["tried", *(mode.name for mode in MODES)]
    rows = [[name, *("held" if name in mode.promised else "-" for mode in MODES)] for name in ALL]
    assert table(head, rows) in text, f"docs/sandbox.md should have\n{table(head, rows)}"
    counts = f"{len(ALL)} escapes are tried, at least {min(len(mode.promised) for mode in MODES if mode.build is not build_network)} of them"
    assert counts in text, counts


def processes_with(argument: str) -> list[str]:
    """The living processes that have `argument` on their command line."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if argument in words:
            found.append(" ".join(words))
    return found
